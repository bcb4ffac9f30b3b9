#include "tools/clinic_session.h"

#include <stdbool.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"

enum {
    MOST_RUNS = 9, // of the doctor, before handing over: at most ten rounds
    TEST_IDS = 500000,
    // Parts in a hundred of the doctor's runs.
    VAGUE = 33,        // collects nothing
    TWO_AT_ONCE = 12,  // two questions in one message
    ACKNOWLEDGED = 68, // of the others: a word of thanks first, as a message of its own
};

typedef struct {
    ClinicSession *made;
    json_t *messages;
    Draw draw;
} Writer;

static uint64_t below(Writer *writer, uint64_t bound)
{
    writer->draw.position++;
    return draw_below(writer->draw, bound);
}

static bool chance(Writer *writer, int percent)
{
    return below(writer, 100) < (uint64_t)percent;
}

static const char *any(Writer *writer, const char *const *list)
{
    uint64_t count = 0;
    while (list[count])
        count++;
    return list[below(writer, count)];
}

static void say(Writer *writer, const char *role, const char *text)
{
    json_array_append_new(writer->messages, json_pack("{s:s, s:s}", "role", role, "content", text));
}

// `text` with its %1$s and %2$s filled.
static void say_with(Writer *writer, const char *role, const char *text, const char *first,
                     const char *second)
{
    Bytes said = {0};
    for (const char *at = text; *at;) {
        if (strncmp(at, "%1$s", 4) == 0 || strncmp(at, "%2$s", 4) == 0) {
            bytes_append_text(&said, at[1] == '1' ? first : second);
            at += 4;
        } else {
            bytes_append(&said, at++, 1);
        }
    }
    say(writer, role, said.data);
    bytes_free(&said);
}

char *clinic_question(const Attribute *attribute)
{
    Bytes text = {0};
    bytes_print(&text, "Is the %s %s or %s?", attribute->field, attribute->values[0],
                attribute->values[1]);
    return text.data;
}

static void choose_complaint(Writer *writer, ClinicSplit split, const Part **symptom,
                             const Part **site)
{
    for (;;) {
        uint64_t i = below(writer, CLINIC_PARTS), j = below(writer, CLINIC_PARTS);
        bool held_out = (i + j + writer->draw.seed) % CLINIC_HELD_OUT == 0;
        *symptom = &clinic_symptoms[i];
        *site = &clinic_sites[j];
        if (held_out == (split == CLINIC_TEST))
            return;
    }
}

// The complaint's attributes in the order in which they will be asked.
static void plan_facts(Writer *writer, const Part *symptom, const Part *site)
{
    ClinicSession *made = writer->made;
    for (int i = 0; i < clinic_attribute_count(symptom); i++)
        made->facts[made->fact_count++] = &symptom->attributes[i];
    for (int i = 0; i < clinic_attribute_count(site); i++)
        made->facts[made->fact_count++] = &site->attributes[i];
    for (int i = made->fact_count - 1; i > 0; i--) {
        int j = (int)below(writer, (uint64_t)i + 1);
        const Attribute *swapped = made->facts[i];
        made->facts[i] = made->facts[j];
        made->facts[j] = swapped;
    }
    for (int i = 0; i < made->fact_count; i++)
        made->values[i] = made->facts[i]->values[below(writer, ATTRIBUTE_VALUES)];
}

static void open_session(Writer *writer, const Part *symptom, const Part *site)
{
    if (chance(writer, 40))
        say(writer, "assistant", any(writer, clinic_greetings));
    if (chance(writer, 50))
        say(writer, "user", any(writer, clinic_hellos));
    say_with(writer, "user", any(writer, clinic_openings), symptom->name, site->name);
    if (chance(writer, 60))
        say(writer, "user", any(writer, clinic_histories));
}

static void ask_vaguely(Writer *writer)
{
    if (chance(writer, 20))
        say(writer, "assistant", any(writer, clinic_acknowledges));
    say(writer, "assistant", any(writer, clinic_vague));
    say(writer, "user", any(writer, clinic_shrugs));
}

static void ask(Writer *writer, int first, int count)
{
    ClinicSession *made = writer->made;
    Bytes text = {0};
    for (int i = first; i < first + count; i++) {
        char *question = clinic_question(made->facts[i]);
        bytes_print(&text, "%s%s", i > first ? " " : "", question);
        release(question);
    }
    if (count == 1 && chance(writer, ACKNOWLEDGED))
        say(writer, "assistant", any(writer, clinic_acknowledges));
    for (int i = first; i < first + count; i++)
        made->asked_at[i] = (int64_t)json_array_size(writer->messages);
    say(writer, "assistant", text.data);
    bytes_free(&text);
    for (int i = first; i < first + count; i++)
        say_with(writer, "user", any(writer, clinic_answers), made->facts[i]->field,
                 made->values[i]);
    if (chance(writer, 25))
        say(writer, "user", any(writer, clinic_asides));
}

static void ask_everything(Writer *writer)
{
    int asked = 0, facts = writer->made->fact_count;
    for (int run = 0; asked < facts; run++) {
        bool time_left = MOST_RUNS - run > facts - asked;
        if (time_left && chance(writer, VAGUE)) {
            ask_vaguely(writer);
        } else {
            int count = facts - asked > 1 && chance(writer, TWO_AT_ONCE) ? 2 : 1;
            ask(writer, asked, count);
            asked += count;
        }
    }
}

ClinicSession clinic_session_make(uint64_t seed, ClinicSplit split, int64_t index)
{
    ClinicSession made = {0};
    Writer writer = {.made = &made,
                     .messages = json_array(),
                     .draw = {.seed = seed,
                              .purpose = PURPOSE_GENERATE,
                              .session = (uint32_t)index,
                              .round = (uint32_t)split}};
    const Part *symptom, *site;
    choose_complaint(&writer, split, &symptom, &site);
    plan_facts(&writer, symptom, site);
    open_session(&writer, symptom, site);
    ask_everything(&writer);
    say(&writer, "user", any(&writer, clinic_closings));
    say(&writer, "assistant", HAND_OVER);
    made.session =
        json_pack("{s:I, s:o, s:o}", "session_id",
                  (json_int_t)(index + 1 + (split == CLINIC_TEST ? TEST_IDS : 0)), "diagn",
                  json_sprintf("%s %s", site->name, symptom->name), "messages", writer.messages);
    return made;
}

void clinic_session_free(ClinicSession *session)
{
    json_decref(session->session);
    *session = (ClinicSession){0};
}

json_t *clinic_session_facts(const ClinicSession *session, int64_t first)
{
    json_t *facts = json_array();
    for (int i = 0; i < session->fact_count; i++)
        if (session->asked_at[i] >= first)
            json_array_append_new(
                facts, json_sprintf("%s: %s", session->facts[i]->field, session->values[i]));
    return facts;
}

const Attribute *clinic_attribute_of(const char *fact)
{
    size_t length = strcspn(fact, ":");
    for (int part = 0; part < 2 * CLINIC_PARTS; part++) {
        const Part *owner =
            part < CLINIC_PARTS ? &clinic_symptoms[part] : &clinic_sites[part - CLINIC_PARTS];
        for (int i = 0; i < clinic_attribute_count(owner); i++) {
            const Attribute *attribute = &owner->attributes[i];
            if (strlen(attribute->field) == length && strncmp(attribute->field, fact, length) == 0)
                return attribute;
        }
    }
    die(EXIT_BUG, "'%s' is no fact of the clinic", fact);
}
