/* SPDX-License-Identifier: Apache-2.0 */
#include "site_info.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app_frame.h"
#include "hash.h"

static void release_frame(struct site_frame *f)
{
	free(f->function);
	free(f->file);
	free(f->module);
}

void site_info_release(struct site_info *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->n_frames; i++)
		release_frame(&s->frames[i]);
	free(s->frames);
	free(s->thread);
	*s = (struct site_info){0};
}

/* Returns false without memory. */
static bool copy_text(const char *from, char **ret)
{
	*ret = from ? strdup(from) : NULL;
	return !from || *ret;
}

static bool copy_frame(const struct site_frame *f, struct site_frame *ret)
{
	ret->line = f->line;
	ret->address = f->address;
	return copy_text(f->function, &ret->function) && copy_text(f->file, &ret->file) &&
	       copy_text(f->module, &ret->module);
}

int site_info_copy(const struct site_info *s, struct site_info *ret)
{
	struct site_info copy = {.role = s->role};
	bool is_ok = copy_text(s->thread, &copy.thread);

	if (is_ok && s->n_frames) {
		copy.frames = calloc(s->n_frames, sizeof(*copy.frames));
		is_ok = copy.frames != NULL;
	}
	for (uint32_t i = 0; i < s->n_frames && is_ok; i++) {
		copy.n_frames = i + 1;
		is_ok = copy_frame(&s->frames[i], &copy.frames[i]);
	}
	if (!is_ok) {
		site_info_release(&copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

static const char *file_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

uint64_t site_info_key(const struct site_info *s, uint64_t id)
{
	bool has_app_frame = app_frame(s) != NULL;
	uint64_t h = HASH_BASIS;

	for (uint32_t i = 0; i < s->n_frames; i++) {
		if (has_app_frame && site_frame_is_runtime(&s->frames[i]))
			continue;
		h = hash_part(h, s->frames[i].function);
		h = hash_part(h, file_name(s->frames[i].module));
	}
	h = s->n_frames ? hash_mix(h) : hash_mix(hash_mix(id) + HASH_PRIME);
	return h ? h : 1;
}
