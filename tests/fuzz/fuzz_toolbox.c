// The file that declares tools, a file of knowledge beside it, and the reply of a model that calls
// them. No command is run and no address asked: such declarations are read only.

#include <string.h>

#include "ask/toolbox_kinds.h"
#include "base/memory.h"
#include "tests/fuzz/fuzz.h"

bool tool_run_command(const Tool *tool, const json_t *arguments, Bytes *result)
{
    (void)tool;
    (void)arguments;
    bytes_append_text(result, "not run");
    return false;
}

bool tool_run_url(const Tool *tool, const json_t *arguments, Bytes *result)
{
    return tool_run_command(tool, arguments, result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzPart parts[3];
    fuzz_parts(data, size, parts, 3);
    fuzz_write("k.jsonl", parts[1]);
    Toolbox *toolbox = toolbox_open(fuzz_write("tools.json", parts[0]));
    if (!toolbox)
        return 0;
    Bytes declared = {0}, result = {0};
    ToolCall *calls;
    int64_t count = tool_format_calls(parts[2].data ? parts[2].data : "", parts[2].length, &calls);
    tool_format_system(toolbox_declarations(toolbox), &declared);
    for (int64_t i = 0; i < count; i++)
        toolbox_run(toolbox, &calls[i], &result);
    tool_format_free(calls, count);
    bytes_free(&declared);
    bytes_free(&result);
    toolbox_close(toolbox);
    return 0;
}
