// SPDX-License-Identifier: Apache-2.0

// goclient KIND healthy|leak=1/N REQUESTS-PER-MINUTE SECONDS serves made-up requests.
//
//	pq       database/sql over lib/pq, one pool; the leak returns on an error without rows.Close
//	default  the same with the pool's defaults: no maximum, two idle ones are kept
//	pgx      pgxpool; the leak returns on an error without conn.Release
//	open     database/sql, a pool of its own for each request; the leak forgets db.Close
//
// One arrival in ten brings three requests at once, as a page that asks for three things does.
// Each leak is told on stdout as "leak UNIX-SECONDS". Settings are libpq's.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v4/pgxpool"
	_ "github.com/lib/pq"
)

const selectOrders = "select id, item, pg_sleep(0.03) from orders where id = $1"

var errRejected = errors.New("order rejected")

type handler func(id int, fails bool) error

func tellLeak() {
	fmt.Printf("leak %.3f\n", float64(time.Now().UnixNano())/1e9)
}

// readOrder leaves its rows open when it fails: the connection stays in use for ever.
func readOrder(db *sql.DB, id int, fails bool) error {
	rows, err := db.Query(selectOrders, id)
	if err != nil {
		return err
	}
	if fails {
		tellLeak()
		return errRejected
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

func open() *sql.DB {
	db, err := sql.Open("postgres", "sslmode=disable")
	if err != nil {
		log.Fatal(err)
	}
	return db
}

func servePq() handler {
	db := open()
	db.SetMaxOpenConns(120)
	db.SetMaxIdleConns(5)
	db.SetConnMaxLifetime(4 * time.Minute)
	return func(id int, fails bool) error { return readOrder(db, id, fails) }
}

func serveDefault() handler {
	db := open()
	return func(id int, fails bool) error { return readOrder(db, id, fails) }
}

func servePgx() handler {
	config, err := pgxpool.ParseConfig("sslmode=disable")
	if err != nil {
		log.Fatal(err)
	}
	config.MaxConns = 120
	config.MinConns = 3
	config.MaxConnLifetime = 4 * time.Minute
	config.MaxConnIdleTime = time.Minute
	config.HealthCheckPeriod = 15 * time.Second
	ctx := context.Background()
	pool, err := pgxpool.ConnectConfig(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	return func(id int, fails bool) error {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, selectOrders, id)
		if fails {
			tellLeak()
			return errRejected
		}
		conn.Release()
		return err
	}
}

func serveOpen() handler {
	return func(id int, fails bool) error {
		db := open()
		if err := readOrder(db, id, false); fails && err == nil {
			tellLeak()
			return errRejected
		}
		return db.Close()
	}
}

// oneIn returns N of "leak=1/N", 0 for "healthy".
func oneIn(behaviour string) int {
	if behaviour == "healthy" {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimPrefix(behaviour, "leak=1/"))
	if err != nil || n < 1 {
		log.Fatal("healthy or leak=1/N, not ", behaviour)
	}
	return n
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 5 {
		log.Fatal("goclient pq|default|pgx|open healthy|leak=1/N REQUESTS-PER-MINUTE SECONDS")
	}
	serve, ok := map[string]func() handler{
		"pq": servePq, "default": serveDefault, "pgx": servePgx, "open": serveOpen}[os.Args[1]]
	perMinute, err := strconv.ParseFloat(os.Args[3], 64)
	seconds, err2 := strconv.ParseFloat(os.Args[4], 64)
	if !ok || err != nil || err2 != nil {
		log.Fatal("not understood: ", os.Args[1:])
	}
	failsOneIn, requests, handle := oneIn(os.Args[2]), 0, serve()
	random := rand.New(rand.NewSource(7))
	end := time.Now().Add(time.Duration(seconds * 1e9))
	for time.Now().Before(end) {
		// 1.2 requests an arrival
		time.Sleep(time.Duration(random.ExpFloat64() * 1.2 * 60e9 / perMinute))
		n := 1
		if random.Intn(10) == 0 {
			n = 3
		}
		for ; n > 0; n-- {
			requests++
			fails := failsOneIn > 0 && requests%failsOneIn == 0
			go func(id int) {
				if err := handle(id, fails); err != nil {
					log.Print(err)
				}
			}(1 + random.Intn(900))
		}
	}
}
