/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects: core/buildid.o core/text.o
 */
#include "t.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gobuild.h"
#include "mutate.h"
#include "../../user/core/buildid.h"

#define ID_SIZE 41
#define TAGGED	"path\tshop/cmd\nmod\tshop\tv2.3.9\th1:x=\ndep\tother\tv1.0.0\th1:y=\n"
#define DEVEL	"path\tshop/cmd\nmod\tshop\t(devel)\t\nbuild\t-compiler=gc\n"

static size_t note(unsigned char *out, const char *name, uint32_t type, size_t desc_n, size_t align)
{
	Elf64_Nhdr h = {(uint32_t)strlen(name) + 1, (uint32_t)desc_n, type};
	size_t at = sizeof(h) + h.n_namesz, pad = align - 1;

	memcpy(out, &h, sizeof(h));
	memset(out + sizeof(h), 0, h.n_namesz + pad);
	memcpy(out + sizeof(h), name, h.n_namesz);
	at = (at + pad) & ~pad;
	for (size_t i = 0; i < desc_n; i++)
		out[at++] = (unsigned char)(0xa0 + i);
	memset(out + at, 0, pad);
	return (at + pad) & ~pad;
}

static void build_id_is_found_among_notes(void **state)
{
	static const size_t aligns[] = {4, 8};

	(void)state;
	for (size_t i = 0; i < T_COUNT(aligns); i++) {
		unsigned char notes[256];
		char id[ID_SIZE];
		size_t n = note(notes, "stapsdt", 3, 9, aligns[i]);

		n += note(notes + n, "GNU", NT_GNU_ABI_TAG, 16, aligns[i]);
		n += note(notes + n, "GNU", NT_GNU_BUILD_ID, 20, aligns[i]);
		assert_int_equal(buildid_from_notes(notes, n, (unsigned)aligns[i], id, sizeof(id)),
				 0);
		assert_string_equal(id, "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3");
	}
}

static void long_build_id_is_cut_to_what_fits(void **state)
{
	unsigned char notes[256];
	char id[ID_SIZE];
	size_t n = note(notes, "GNU", NT_GNU_BUILD_ID, 64, 4);

	(void)state;
	assert_int_equal(buildid_from_notes(notes, n, 4, id, sizeof(id)), 0);
	assert_int_equal(strlen(id), 40);
	assert_int_equal(buildid_from_notes(notes, n, 4, id, sizeof(id) - 1), -EINVAL);
}

static void notes_without_build_id_have_none(void **state)
{
	unsigned char notes[256], zeros[64] = {0};
	char id[ID_SIZE] = "kept";
	size_t n = note(notes, "GNU", NT_GNU_ABI_TAG, 16, 4);

	(void)state;
	n += note(notes + n, "GNU", NT_GNU_BUILD_ID, 0, 4);
	n += note(notes + n, "Go", 4, 20, 4);
	assert_int_equal(buildid_from_notes(notes, n, 4, id, sizeof(id)), -ENOENT);
	assert_int_equal(buildid_from_notes(notes, 0, 4, id, sizeof(id)), -ENOENT);
	assert_int_equal(buildid_from_notes(zeros, sizeof(zeros), 4, id, sizeof(id)), -ENOENT);
	assert_string_equal(id, "kept");
}

static void sizes_beyond_the_notes_are_refused(void **state)
{
	static const Elf64_Nhdr bad[] = {{4, 0xffffffff, NT_GNU_BUILD_ID},
					 {0xffffffff, 20, NT_GNU_BUILD_ID},
					 {0xffffffff, 0xffffffff, 3},
					 {4, 17, NT_GNU_BUILD_ID}};
	unsigned char notes[32] = {0};
	char id[ID_SIZE];

	(void)state;
	for (size_t i = 0; i < T_COUNT(bad); i++) {
		memcpy(notes, &bad[i], sizeof(bad[i]));
		assert_int_equal(buildid_from_notes(notes, sizeof(notes), 4, id, sizeof(id)),
				 -EINVAL);
	}
}

static void damaged_notes_are_survived(void **state)
{
	unsigned char notes[256];
	uint64_t seed = 7;
	size_t n = note(notes, "GNU", NT_GNU_ABI_TAG, 16, 4);

	(void)state;
	n += note(notes + n, "GNU", NT_GNU_BUILD_ID, 20, 4);
	for (int i = 0; i < MUTATE_ROUNDS; i++) {
		char id[ID_SIZE];
		size_t bad_n;
		unsigned char *bad = mutate(&seed, notes, n, &bad_n);

		if (!buildid_from_notes(bad, bad_n, i & 1 ? 8 : 4, id, sizeof(id)))
			assert_int_equal(strspn(id, "0123456789abcdef"), strlen(id));
		free(bad);
	}
}

static void go_version_is_the_main_modules(void **state)
{
	static const struct {
		const char *module, *version;
	} cases[] = {
		{TAGGED, "v2.3.9"},
		{DEVEL "build\tvcs.revision=0123456789abcdef0123\n", "0123456789ab"},
		{DEVEL "build\tvcs.revision=\n", NULL},
		{DEVEL, NULL},
		{"path\tshop\ndep\tother\tv1.0.0\th1:y=\n", NULL},
		{"path\tshop\nmod\tshop\n", NULL},
		{"path\tshop\nmod\tshop\tv1\x1b\t\n", "v1\\x1B"},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		unsigned char blob[4096];
		size_t n = gobuild_blob(blob, cases[i].module);
		char *s = NULL;

		assert_int_equal(gobuildinfo_version(blob, n, &s), cases[i].version ? 0 : -ENOENT);
		if (cases[i].version)
			assert_string_equal(s, cases[i].version);
		free(s);
	}
}

static void go_information_is_found_in_a_data_segment(void **state)
{
	unsigned char data[8192] = {0};
	char *s = NULL;

	(void)state;
	memcpy(data + 8, "\xff Go buildinf:", 14);  /* not where the linker aligns it */
	memcpy(data + 64, "\xff Go buildinf:", 14); /* older format: pointers */
	gobuild_blob(data + 4096, TAGGED);
	assert_int_equal(gobuildinfo_version(data, sizeof(data), &s), 0);
	assert_string_equal(s, "v2.3.9");
	free(s);
}

static void cut_go_information_yields_no_cut_version(void **state)
{
	unsigned char blob[4096];
	size_t n = gobuild_blob(blob, TAGGED);

	(void)state;
	for (size_t cut = 0; cut < n; cut++) {
		unsigned char *exact = malloc(cut ? cut : 1);
		char *s = NULL;

		assert_non_null(exact);
		memcpy(exact, blob, cut);
		if (!gobuildinfo_version(exact, cut, &s))
			assert_string_equal(s, "v2.3.9");
		free(s);
		free(exact);
	}
}

static void damaged_go_information_is_survived(void **state)
{
	unsigned char blob[4096];
	size_t n = gobuild_blob(blob, TAGGED);
	uint64_t seed = 11;

	(void)state;
	for (int i = 0; i < MUTATE_ROUNDS; i++) {
		char *s = NULL;
		size_t bad_n;
		unsigned char *bad = mutate(&seed, blob, n, &bad_n);

		gobuildinfo_version(bad, bad_n, &s);
		free(s);
		free(bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(build_id_is_found_among_notes),
		cmocka_unit_test(long_build_id_is_cut_to_what_fits),
		cmocka_unit_test(notes_without_build_id_have_none),
		cmocka_unit_test(sizes_beyond_the_notes_are_refused),
		cmocka_unit_test(damaged_notes_are_survived),
		cmocka_unit_test(go_version_is_the_main_modules),
		cmocka_unit_test(go_information_is_found_in_a_data_segment),
		cmocka_unit_test(cut_go_information_yields_no_cut_version),
		cmocka_unit_test(damaged_go_information_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
