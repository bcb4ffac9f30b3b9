// keep_loaded.c - in builds with sanitizers: what was loaded stays, so that a leak found at the end of a
// program still has the name of the library that it came from (leaks.txt).

int dlclose(void *handle);

int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
