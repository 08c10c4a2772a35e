// SPDX-License-Identifier: Apache-2.0

// goclient DRIVER BEHAVIOUR REQUESTS-PER-MINUTE serves requests until it is killed.
//
// DRIVER is pq (database/sql over lib/pq) or pgx (database/sql over pgx v4). A healthy client
// closes its rows, so that its pool of 10 is enough. A leaking one forgets to: each request keeps
// its connection, and the pool, which it has not bounded, opens another. Settings are libpq's.
package main

import (
	"database/sql"
	"log"
	"os"
	"strconv"
	"time"

	_ "github.com/jackc/pgx/v4/stdlib"
	_ "github.com/lib/pq"
)

var kept []*sql.Rows // or else the garbage collector would close some of them

func request(db *sql.DB, leaks bool) {
	rows, err := db.Query("select relname from pg_class limit 5")
	if err != nil {
		log.Print(err)
		return
	}
	if leaks {
		rows.Next()
		kept = append(kept, rows)
		return
	}
	defer rows.Close()
	for rows.Next() {
	}
}

func main() {
	driver := map[string]string{"pq": "postgres", "pgx": "pgx"}[os.Args[1]]
	leaks := os.Args[2] == "leak"
	perMinute, err := strconv.ParseFloat(os.Args[3], 64)
	if err != nil {
		log.Fatal(err)
	}
	db, err := sql.Open(driver, "sslmode=disable")
	if err != nil {
		log.Fatal(err)
	}
	if !leaks {
		db.SetMaxOpenConns(10)
		db.SetMaxIdleConns(10)
	}
	for range time.Tick(time.Duration(60e9 / perMinute)) {
		if leaks {
			request(db, true)
		} else {
			// Three at once: several connections of the pool are in use.
			for i := 0; i < 3; i++ {
				go request(db, false)
			}
		}
	}
}
