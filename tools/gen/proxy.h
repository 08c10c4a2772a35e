/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy.h - what stands between a program and PostgreSQL on the same node
 *
 * Both give a server that programs connect to (world_set_server() makes them all), and are holders
 * of connections themselves.
 */
#ifndef CONNLEAK_GEN_PROXY_H
#define CONNLEAK_GEN_PROXY_H

#include "pool.h"

/* A sidecar: for each connection that it accepts it opens one, and passes on what is said. */
struct gen_server *gen_sidecar_new(struct world *w, struct gen_server *behind);

/*
 * PgBouncer: lends one of its own for the length of a query. @conf is that of its pool of each
 * database: max (default_pool_size), idle_s (server_idle_timeout), life_s (server_lifetime), ...
 * Clients are spread over the databases in turn. One thread and one call site for all.
 */
struct gen_server *gen_bouncer_new(struct world *w, struct gen_server *behind, int n_databases,
				   const struct pool_conf *conf);
struct gen_proc *gen_proxy_proc(const struct gen_server *s);

#endif
