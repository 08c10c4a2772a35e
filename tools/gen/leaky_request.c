/* SPDX-License-Identifier: Apache-2.0 */
/* leaky_request.c - leaks of programs that open a connection for each request */
#include "rng.h"

#include "leaky.h"

/* Some of the requests leak, all the time at the same rate. */
static void start_constant(struct gen_proc *p, struct leak_conf *conf, double requests_per_min,
			   double leaks_per_min)
{
	conf->requests = leaky_rate(requests_per_min);
	conf->leaks = leaky_rate(leaks_per_min);
	if (!conf->pool.site)
		conf->pool.site = gen_site(p, "handle_request");
	world_leak_rate(p->w, leaks_per_min);
	leaky_start(p, conf);
}

void leaky_every_request(struct world *w, struct gen_proc *p)
{
	double per_min = param_log(w, "per_min", 1, 10);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	start_constant(p, &conf, per_min, per_min);
}

void leaky_fast(struct world *w, struct gen_proc *p)
{
	double per_min = param_log(w, "per_min", 10, 120);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	start_constant(p, &conf, per_min, per_min);
}

void leaky_error_path(struct world *w, struct gen_proc *p)
{
	double requests = param_log(w, "requests_per_min", 100, 600);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	start_constant(p, &conf, requests, requests * 0.01);
}

void leaky_error_path_rare(struct world *w, struct gen_proc *p)
{
	double requests = param_log(w, "requests_per_min", 200, 1500);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	start_constant(p, &conf, requests, requests * 0.001);
}

void leaky_one_a_minute(struct world *w, struct gen_proc *p)
{
	double requests = param_log(w, "requests_per_min", 10, 300);
	double leaks = param_log(w, "per_min", 0.8, 1.25);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	start_constant(p, &conf, requests, leaks);
}

void leaky_one_in_ten_minutes(struct world *w, struct gen_proc *p)
{
	double requests = param_log(w, "requests_per_min", 10, 300);
	double leaks = param_log(w, "per_min", 0.08, 0.125);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	start_constant(p, &conf, requests, leaks);
}

void leaky_threads(struct world *w, struct gen_proc *p)
{
	double requests = param_log(w, "requests_per_min", 20, 300);
	double leaks = param_log(w, "per_min", 1, 6);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	conf.pool.n_threads = param_int_log(w, "threads_of_server", 20, 200);
	start_constant(p, &conf, requests, leaks);
}

void leaky_thread_per_request(struct world *w, struct gen_proc *p)
{
	double requests = param_log(w, "requests_per_min", 10, 300);
	double leaks = param_log(w, "per_min", 0.5, 6);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	conf.pool.opener = OPENER_NEW;
	conf.pool.opener_idle_s = param_log(w, "thread_s", 0.5, 60);
	start_constant(p, &conf, requests, leaks);
}

void leaky_heartbeats(struct world *w, struct gen_proc *p)
{
	double requests = param_log(w, "requests_per_min", 10, 300);
	double leaks = param_log(w, "per_min", 0.5, 6);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	conf.ping_s = param_log(w, "ping_s", 5, 120);
	start_constant(p, &conf, requests, leaks);
}

/* A server of the scenario's own, which ends connections that lie idle for @idle_s. */
static struct gen_server *server_that_reaps(struct world *w, double idle_s)
{
	return gen_server_new(w, &(struct gen_server_conf){
					 .limit = (uint32_t)param_int_log(w, "limit", 100, 1000),
					 .has_budget = true,
					 .idle_session_s = idle_s,
				 });
}

void leaky_close_wait(struct world *w, struct gen_proc *p)
{
	double requests = param_log(w, "requests_per_min", 10, 300);
	double leaks = param_log(w, "per_min", 0.5, 6);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	conf.pool.server = server_that_reaps(w, param_log(w, "server_idle_s", 20, 1800));
	conf.fin = GEN_FIN_STAYS;
	start_constant(p, &conf, requests, leaks);
}

/* At least eight are there at a time, else there is little to find and no harm. */
void leaky_reaped(struct world *w, struct gen_proc *p)
{
	double requests = param_log(w, "requests_per_min", 10, 300);
	double leaks = param_log(w, "per_min", 1, 10);
	double idle_s = param_log(w, "server_idle_s", 120, 1800);
	struct leak_conf conf;

	if (idle_s * leaks / MINUTE_S < 8)
		idle_s = 8 * MINUTE_S / leaks;
	param_note(w, "reaped_after_s", idle_s);
	leaky_per_request(w, &conf);
	conf.pool.server = server_that_reaps(w, idle_s);
	conf.fin = GEN_FIN_CLOSES;
	start_constant(p, &conf, requests, leaks);
}
