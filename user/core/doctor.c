/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include "strbuf.h"

const char *check_status_name(enum check_status s)
{
	switch (s) {
	case CHECK_OK:
		return "ok";
	case CHECK_PART:
		return "part";
	case CHECK_MISSING:
		return "missing";
	case CHECK_UNKNOWN:
		break;
	}
	return "unknown";
}

int doctor_text(struct strbuf *sb, const struct doctor_report *r, const char *version)
{
	strbuf_printf(sb, "connleak %s on Linux %s, %s\n", version, r->kernel, r->machine);
	for (size_t i = 0; i < r->n_checks; i++) {
		const struct check *c = &r->checks[i];

		strbuf_puts(sb, "  ");
		strbuf_left(sb, c->name, 22);
		strbuf_puts(sb, "  ");
		strbuf_left(sb, check_status_name(c->status), c->detail[0] ? 7 : 0);
		if (c->detail[0])
			strbuf_printf(sb, "  %s", c->detail);
		strbuf_puts(sb, "\n");
		if (c->remedy[0]) {
			strbuf_left(sb, "", 35);
			strbuf_printf(sb, "%s\n", c->remedy);
		}
	}
	return strbuf_printf(sb, "ready: %s\n", r->summary);
}
