/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_empty.c - programs that do nothing, on the hooks that connleak uses: what they cost is what
 *	any program there would cost, and is what bench.sh holds connleak's own against
 *
 * Named after the programs that they stand for. Attached until stdin ends.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

struct hook {
	const char *program, *tracepoint;
};

/* Returns 0 or a negative errno. The descriptors stay open as long as the process. */
static int attach_empty(const struct hook *h)
{
	const struct bpf_insn return_0[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_RAW_TP);
	int program;

	program = libbpf_find_vmlinux_btf_id(h->tracepoint, BPF_TRACE_RAW_TP);
	if (program < 0)
		return program;
	opts.attach_btf_id = (__u32)program;
	program = bpf_prog_load(BPF_PROG_TYPE_TRACING, h->program, "GPL", return_0, 2, &opts);
	if (program < 0)
		return program;
	return bpf_raw_tracepoint_open(NULL, program) < 0 ? -errno : 0;
}

int main(void)
{
	static const struct hook hooks[] = {
		{"conn_attempt", "inet_sock_set_state"},
		{"conn_state", "inet_sock_set_state"},
		{"conn_destroy", "tcp_destroy_sock"},
		{"task_exit", "sched_process_exit"},
	};
	char drain[64];

	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++) {
		int err = attach_empty(&hooks[i]);

		if (err) {
			fprintf(stderr, "bench_empty: %s: %s\n", hooks[i].tracepoint,
				strerror(-err));
			return 5;
		}
	}
	while (read(0, drain, sizeof(drain)) > 0)
		;
	return 0;
}
