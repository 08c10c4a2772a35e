// SPDX-License-Identifier: Apache-2.0
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Client KIND healthy|leak=1/N REQUESTS-PER-MINUTE SECONDS serves made-up requests on 8 threads.
 *
 * hikari     HikariCP, 5 to 100 connections, recycled; the leak forgets close() on an error
 * parked     HikariCP, 30 connections opened at the start and hardly ever used
 * jdbc       DriverManager, a connection for each request; the leak leaves it in a map of open
 *            orders when the order fails
 * tenured    the same without the map, in a small heap: the driver's finalizer closes what the
 *            collector finds in the young generation, and the rest stays
 * finalizer  the same in a heap of which all is collected every 40 s: everything is closed, late
 * finalizer-slow  every 100 s
 *
 * One arrival in ten brings three requests at once. Each leak is told on stdout as
 * "leak UNIX-SECONDS". Settings: PGHOST, PGPORT, PGUSER, PGDATABASE.
 */
public final class Client {
	private interface Source {
		Connection get() throws SQLException;
	}

	private static final Map<Integer, Connection> openOrders = new ConcurrentHashMap<>();
	private static Source source;
	private static boolean keepsOrders;
	private static volatile byte[] garbage;

	private static String url() {
		Map<String, String> env = System.getenv();
		return "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/"
			+ env.get("PGDATABASE") + "?user=" + env.get("PGUSER");
	}

	private static Source pool(int minimum, int maximum) {
		HikariConfig config = new HikariConfig();
		config.setJdbcUrl(url());
		config.setMinimumIdle(minimum);
		config.setMaximumPoolSize(maximum);
		config.setIdleTimeout(60_000);
		config.setMaxLifetime(240_000);
		return new HikariDataSource(config)::getConnection;
	}

	private static void tellLeak() {
		System.out.printf("leak %.3f%n", System.currentTimeMillis() / 1000.0);
	}

	private static void ask(Connection connection, int id) throws SQLException {
		try (PreparedStatement select = connection.prepareStatement(
				"select id, item, pg_sleep(0.03) from orders where id = ?")) {
			select.setInt(1, id);
			try (ResultSet rows = select.executeQuery()) {
				while (rows.next())
					garbage = new byte[20_000];
			}
		}
	}

	private static void placeOrder(int number, int id, boolean fails) throws SQLException {
		Connection connection = source.get();
		if (keepsOrders)
			openOrders.put(number, connection);
		ask(connection, id);
		if (fails) {
			tellLeak();
			throw new IllegalStateException("order rejected");
		}
		connection.close();
		openOrders.remove(number);
	}

	private static void serve(int number, int id, boolean fails) {
		try {
			placeOrder(number, id, fails);
		} catch (SQLException | IllegalStateException e) {
			System.err.println(e.getMessage());
		}
	}

	/** As the distributed collector of RMI does. */
	private static void collectEvery(int seconds) {
		Thread thread = new Thread(() -> {
			try {
				for (;; Thread.sleep(seconds * 1000L))
					System.gc();
			} catch (InterruptedException e) {
				Thread.currentThread().interrupt();
			}
		});
		thread.setDaemon(true);
		thread.start();
	}

	private static Source sourceOf(String kind) {
		switch (kind) {
		case "hikari":
			return pool(5, 100);
		case "parked":
			return pool(30, 30);
		case "jdbc":
			keepsOrders = true;
			return () -> DriverManager.getConnection(url());
		case "finalizer":
			collectEvery(40);
			return () -> DriverManager.getConnection(url());
		case "finalizer-slow":
			collectEvery(100);
			return () -> DriverManager.getConnection(url());
		case "tenured":
			return () -> DriverManager.getConnection(url());
		default:
			throw new IllegalArgumentException(kind);
		}
	}

	public static void main(String[] args) throws InterruptedException {
		boolean isHealthy = args[1].equals("healthy");
		int failsOneIn = isHealthy ? 0 : Integer.parseInt(args[1].substring("leak=1/".length()));
		double perMinute = Double.parseDouble(args[2]);
		long end = System.nanoTime() + (long) (Double.parseDouble(args[3]) * 1e9);
		Random random = new Random(7);
		ExecutorService workers = Executors.newFixedThreadPool(8);
		int requests = 0;

		source = sourceOf(args[0]);
		while (System.nanoTime() < end) {
			// 1.2 requests an arrival
			Thread.sleep((long) (-Math.log(1 - random.nextDouble()) * 1.2 * 60e3 / perMinute));
			for (int n = random.nextInt(10) == 0 ? 3 : 1; n > 0; n--) {
				int number = ++requests, id = 1 + random.nextInt(900);
				boolean fails = failsOneIn > 0 && number % failsOneIn == 0;
				workers.execute(() -> serve(number, id, fails));
			}
		}
		System.exit(0);
	}
}
