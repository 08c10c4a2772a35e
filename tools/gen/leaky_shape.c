/* SPDX-License-Identifier: Apache-2.0 */
/* leaky_shape.c - leaks that begin late, come in bursts, follow the traffic, or double */
#include "rng.h"

#include "leaky.h"

static void start(struct gen_proc *p, struct leak_conf *conf)
{
	conf->pool.site = gen_site(p, "handle_request");
	leaky_start(p, conf);
}

void leaky_late_onset(struct world *w, struct gen_proc *p)
{
	struct leak_conf conf;

	if (param_chance(w, "has_pool", 0.5)) {
		leaky_pool(w, &conf);
		conf.pool.max = 0;
	} else {
		leaky_per_request(w, &conf);
	}
	conf.requests = leaky_rate(param_log(w, "requests_per_min", 20, 600));
	conf.leaks = leaky_rate(param_log(w, "per_min", 0.5, 6));
	conf.leaks.from_s = param_log(w, "from_s", HOUR_S, 8 * HOUR_S);
	world_leak_rate(w, conf.leaks.per_s * MINUTE_S);
	start(p, &conf);
}

/* No more than 40 % of the limit is gone when the watch begins. */
void leaky_adopted(struct world *w, struct gen_proc *p)
{
	double before_s = param_log(w, "before_s", 20 * MINUTE_S, 2 * HOUR_S);
	double per_s, most_s;
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	conf.requests = leaky_rate(param_log(w, "requests_per_min", 10, 300));
	conf.leaks = leaky_rate(param_log(w, "per_min", 0.5, 6));
	per_s = conf.leaks.per_s;
	most_s = 0.4 * world_server(w)->conf.limit / per_s;
	before_s = before_s < most_s ? before_s : most_s;
	param_note(w, "watched_from_s", before_s);
	world_watch_from(w, before_s);
	world_leak_rate(w, per_s * MINUTE_S);
	start(p, &conf);
}

void leaky_error_bursts(struct world *w, struct gen_proc *p)
{
	double requests = param_log(w, "requests_per_min", 20, 300);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	conf.requests = leaky_rate(requests);
	conf.leaks = (struct load){
		.shape = LOAD_BURSTS,
		.peak_per_s = conf.requests.per_s * param_log(w, "failing_frac", 0.02, 0.5),
		.period_s = param_log(w, "period_s", 10 * MINUTE_S, HOUR_S),
		.busy_s = param_log(w, "busy_s", MINUTE_S, 5 * MINUTE_S),
	};
	start(p, &conf);
}

void leaky_burst_stops(struct world *w, struct gen_proc *p)
{
	double n = param_log(w, "lost", 10, 60), busy_s = param_log(w, "busy_s", 180, 900);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	conf.requests = leaky_rate(param_log(w, "requests_per_min", 20, 300));
	conf.leaks.per_s = n / busy_s;
	if (conf.requests.per_s < conf.leaks.per_s)
		conf.requests.per_s = conf.leaks.per_s;
	conf.leaks.from_s = param_log(w, "from_s", 10 * MINUTE_S, 40 * MINUTE_S);
	conf.leaks.until_s = conf.leaks.from_s + busy_s;
	start(p, &conf);
}

static struct load scaled(const struct load *l, double by)
{
	struct load r = *l;

	r.per_s *= by;
	r.peak_per_s *= by;
	return r;
}

void leaky_diurnal(struct world *w, struct gen_proc *p)
{
	double peak = param_log(w, "peak_per_min", 50, 600);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	conf.requests = (struct load){
		.shape = LOAD_DAY,
		.peak_per_s = peak / MINUTE_S,
		.per_s = peak / MINUTE_S * param_log(w, "night_frac", 0.02, 0.3),
		.period_s = param_log(w, "period_s", 2 * HOUR_S, 24 * HOUR_S),
	};
	conf.requests.phase_s = conf.requests.period_s * param_between(w, "phase", 0, 1);
	conf.leaks = scaled(&conf.requests, param_log(w, "peak_leaks_per_min", 0.5, 6) / peak);
	start(p, &conf);
}

void leaky_accelerating(struct world *w, struct gen_proc *p)
{
	double doubling_s = param_log(w, "doubling_s", 15 * MINUTE_S, 40 * MINUTE_S);
	double first = param_log(w, "first_per_min", 0.03, 0.12);
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	conf.requests = leaky_rate(param_log(w, "requests_per_min", 60, 300));
	conf.leaks = (struct load){.shape = LOAD_DOUBLING,
				   .per_s = first / MINUTE_S,
				   .peak_per_s = first / MINUTE_S * 256,
				   .period_s = 8 * doubling_s};
	start(p, &conf);
}

void leaky_growing_traffic(struct world *w, struct gen_proc *p)
{
	double from = param_log(w, "requests_per_min", 20, 100);
	struct leak_conf conf;

	leaky_pool(w, &conf);
	conf.pool.max = 0;
	conf.requests = (struct load){
		.shape = LOAD_GROWTH,
		.per_s = from / MINUTE_S,
		.peak_per_s = from / MINUTE_S * param_log(w, "growth", 5, 20),
		.period_s = param_log(w, "growth_s", HOUR_S, 6 * HOUR_S),
	};
	conf.leaks = scaled(&conf.requests, param_log(w, "first_leaks_per_min", 0.1, 1) / from);
	start(p, &conf);
}
