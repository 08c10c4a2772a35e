/* SPDX-License-Identifier: Apache-2.0 */
/* t.h - cmocka's prelude, and what every unit test needs */
#ifndef CONNLEAK_TEST_T_H
#define CONNLEAK_TEST_T_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#define T_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* |a - b| <= rel * max(|a|, |b|, 1); cmocka 1.1.5 compares float only */
#define assert_near(a, b, rel)                                                                     \
	do {                                                                                       \
		double a_ = (a), b_ = (b), m_ = fmax(fmax(fabs(a_), fabs(b_)), 1.0);               \
		if (!(fabs(a_ - b_) <= (rel)*m_))                                                  \
			fail_msg("%s = %g, wanted %s = %g", #a, a_, #b, b_);                       \
	} while (0)

#endif
