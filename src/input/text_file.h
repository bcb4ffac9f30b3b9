// text_file.h - a prompt: a small text file that the settings name.

#ifndef L2A_INPUT_TEXT_FILE_H
#define L2A_INPUT_TEXT_FILE_H

enum { TEXT_FILE_LIMIT = 1024 * 1024 }; // bytes, newlines at the end included

// The text of `path` without newlines at its end; to be released. `setting` ("[data]
// system_prompt") stands in front of messages. EXIT_NO_INPUT where it cannot be read, EXIT_BAD_DATA
// where it is empty, too long, not UTF-8, or no regular file.
int text_file_read(const char *path, const char *setting, char **text);

#endif
