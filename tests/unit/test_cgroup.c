/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cgroup_parse() makes of every layout in tests/data/cgroup/, run from the top folder.
 * objects: core/cgroup.o core/text.o
 */
#include "t.h"

#include <stdio.h>
#include <stdlib.h>

#include "mutate.h"
#include "../../user/core/cgroup.h"

#define DOCKER "b43d92bf1e5c6f78bb9b7bc6f40721280299855ba692092716e3a1b6c0b86f3f"
#define IN_POD "73051af271105c07e1f493b34856a77e665e3b0b4fc72f76c807dfbffeb881bd"
#define POD    "8712f785-1a3e-41ec-a00b-e2dcc77431cb"
#define STATIC "9729a196c4723b60ab401eaff722982d"
#define NODE   "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970"

static const struct layout {
	const char *file, *container, *pod_uid, *unit;
} layouts[] = {
	{"docker-v2-systemd", DOCKER, NULL, NULL},
	{"docker-v2-cgroupfs", DOCKER, NULL, NULL},
	{"docker-v1-cgroupfs", DOCKER, NULL, NULL},
	{"docker-v1-systemd", DOCKER, NULL, NULL},
	{"docker-hybrid", DOCKER, NULL, NULL},
	{"docker-runtime-itself", NULL, NULL, "docker.service"},
	{"k8s-containerd-v2", IN_POD, POD, NULL},
	{"k8s-containerd-v1-cgroupfs", IN_POD, POD, NULL},
	{"k8s-containerd-guaranteed", IN_POD, POD, NULL},
	{"k8s-containerd-colons", IN_POD, POD, NULL},
	{"k8s-crio-v2", IN_POD, POD, NULL},
	{"k8s-docker-v1", IN_POD, POD, NULL},
	{"k8s-static-pod", IN_POD, STATIC, NULL},
	{"k8s-relative", IN_POD, POD, NULL},
	{"k3s-v2", IN_POD, POD, NULL},
	{"kind-v2", IN_POD, POD, NULL},
	{"kind-node-itself", NODE, NULL, NULL},
	{"minikube-v1", IN_POD, POD, NULL},
	{"containerd-k8s-io", IN_POD, NULL, NULL},
	{"nerdctl-v2", DOCKER, NULL, NULL},
	{"podman-rootful", DOCKER, NULL, NULL},
	{"podman-rootless", DOCKER, NULL, NULL},
	{"podman-quadlet", DOCKER, NULL, "orders.service"},
	{"podman-cgroupfs", DOCKER, NULL, NULL},
	{"systemd-v2", NULL, NULL, "order-service.service"},
	{"systemd-v1", NULL, NULL, "order-service.service"},
	{"systemd-hybrid", NULL, NULL, "ssh.service"},
	{"systemd-template", NULL, NULL, "postgresql@15-main.service"},
	{"systemd-escaped", NULL, NULL, "orders-api@eu.service"},
	{"systemd-guarded", NULL, NULL, "cpu.service"},
	{"systemd-delegated", NULL, NULL, "orders.service"},
	{"systemd-removed", NULL, NULL, "orders.service"},
	{"user-service", NULL, NULL, "orders.service"},
	{"login-v2", NULL, NULL, NULL},
	{"desktop-v2", NULL, NULL, NULL},
	{"init-v2", NULL, NULL, NULL},
	{"root-v2", NULL, NULL, NULL},
	{"sandbox-hybrid", NULL, NULL, NULL},
};

static size_t load(const char *file, char *buf, size_t size)
{
	char path[256];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "tests/data/cgroup/%s", file);
	f = fopen(path, "r");
	if (!f)
		fail_msg("cannot open %s: run from the top folder", path);
	n = fread(buf, 1, size, f);
	fclose(f);
	return n;
}

static void same(const char *file, const char *what, const char *got, const char *want)
{
	if (!got != !want || (got && strcmp(got, want) != 0))
		fail_msg("%s: %s is %s, wanted %s", file, what, got ? got : "none",
			 want ? want : "none");
}

static struct cgroup_names parse(const char *text, size_t n)
{
	struct cgroup_names c;

	assert_int_equal(cgroup_parse(text, n, &c), 0);
	return c;
}

static void every_layout_yields_its_names(void **state)
{
	char buf[8192];

	(void)state;
	for (size_t i = 0; i < T_COUNT(layouts); i++) {
		const struct layout *l = &layouts[i];
		struct cgroup_names c = parse(buf, load(l->file, buf, sizeof(buf)));

		same(l->file, "container", c.container, l->container);
		same(l->file, "pod", c.pod_uid, l->pod_uid);
		same(l->file, "unit", c.unit, l->unit);
		assert_non_null(c.path);
		cgroup_names_release(&c);
	}
}

static void path_is_the_one_that_names_something(void **state)
{
	static const struct {
		const char *text, *path;
	} cases[] = {
		{"1:name=systemd:/system.slice/a.service\n0::/\n", "/system.slice/a.service"},
		{"4:memory:/x/y\n0::/z\n", "/z"},
		{"4:memory:/x/y\n3:cpu:/z\n", "/x/y"},
		{"0::/a b:c\n", "/a b:c"},
		{"0::/a\\x2db.service", "/a\\x5Cx2db.service"},
		{"0::/gone.service (deleted)\n", "/gone.service"},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		struct cgroup_names c = parse(cases[i].text, strlen(cases[i].text));

		same(cases[i].text, "path", c.path, cases[i].path);
		cgroup_names_release(&c);
	}
}

static void what_only_looks_like_a_name_is_none(void **state)
{
	static const char *const cases[] = {
		"",
		"\n\n:::\n",
		"0::\n",
		"0::relative.service\n",
		"0:/x.service\n",
		"0::/docker/cafe\n",
		"0::/app/" STATIC "\n",	 /* no id of a known runtime */
		"0::/app/" DOCKER "0\n", /* too long */
		"0::/system.slice/libpod-conmon-" DOCKER ".scope\n",
		"0::/machine.slice/machine-libpod_pod_" DOCKER ".slice\n",
		"0::/kubepods/tripod" POD "\n", /* "pod" within a word */
		"0::/.service\n",
		"0::/user.slice/user@1000.service\n",
		"0::/system.slice/containerd.service/child\n",
		"0::/system.slice/docker-zz34567890ab.scope\n",
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		struct cgroup_names c = parse(cases[i], strlen(cases[i]));

		same(cases[i], "container", c.container, NULL);
		same(cases[i], "pod", c.pod_uid, NULL);
		same(cases[i], "unit", c.unit, NULL);
		cgroup_names_release(&c);
	}
}

static void shortened_ids_are_taken_from_runtimes(void **state)
{
	static const char *const cases[] = {"0::/docker/0123456789ab\n",
					    "0::/x/crio-0123456789ab.scope\n"};

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		struct cgroup_names c = parse(cases[i], strlen(cases[i]));

		same(cases[i], "container", c.container, "0123456789ab");
		cgroup_names_release(&c);
	}
}

static void container_in_a_pods_container_keeps_the_pod(void **state)
{
	static const char text[] = "0::/kubepods/pod" POD "/" IN_POD "/docker/" DOCKER "\n";
	struct cgroup_names c = parse(text, sizeof(text) - 1);

	(void)state;
	assert_string_equal(c.container, DOCKER);
	assert_string_equal(c.pod_uid, POD);
	cgroup_names_release(&c);
}

static void control_bytes_never_come_out(void **state)
{
	static const char text[] = "0::/a\x1b]0;x\x07/b\\x1b\\x00.service\n";
	struct cgroup_names c = parse(text, sizeof(text) - 1);

	(void)state;
	assert_string_equal(c.path, "/a\\x1B]0;x\\x07/b\\x5Cx1b\\x5Cx00.service");
	assert_string_equal(c.unit, "b\\x1B\\x5Cx00.service");
	cgroup_names_release(&c);
}

static void huge_path_is_survived(void **state)
{
	size_t n = 256 * 1024;
	char *text = malloc(n);
	struct cgroup_names c;

	(void)state;
	assert_non_null(text);
	memset(text, '/', n);
	memcpy(text, "0::/", 4);
	c = parse(text, n);
	assert_null(c.unit);
	cgroup_names_release(&c);
	free(text);
}

static void damaged_input_is_survived(void **state)
{
	uint64_t seed = 4711;
	char buf[8192];

	(void)state;
	for (size_t i = 0; i < MUTATE_ROUNDS; i++) {
		size_t n = load(layouts[i % T_COUNT(layouts)].file, buf, sizeof(buf));
		unsigned char *bad = mutate(&seed, buf, n, &n);
		struct cgroup_names c = parse((char *)bad, n);

		if (c.container)
			assert_in_range(strlen(c.container), 12, 64);
		cgroup_names_release(&c);
		free(bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_layout_yields_its_names),
		cmocka_unit_test(path_is_the_one_that_names_something),
		cmocka_unit_test(what_only_looks_like_a_name_is_none),
		cmocka_unit_test(shortened_ids_are_taken_from_runtimes),
		cmocka_unit_test(container_in_a_pods_container_keeps_the_pod),
		cmocka_unit_test(control_bytes_never_come_out),
		cmocka_unit_test(huge_path_is_survived),
		cmocka_unit_test(damaged_input_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
