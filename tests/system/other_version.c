// other_version.c - to be preloaded: utf8proc is another one than the program was compiled with.

const char *utf8proc_version(void);

const char *utf8proc_version(void)
{
    return "0.0.7";
}
