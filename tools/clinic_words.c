#include "tools/clinic_words.h"

#include <stddef.h>

const Part clinic_symptoms[CLINIC_PARTS] = {
    {"pain",
     {{"rhythm", {"steady", "throbbing"}},
      {"onset", {"sudden", "gradual"}},
      {"quality", {"sharp", "dull"}},
      {"depth", {"shallow", "inward"}}}},
    {"swelling",
     {{"texture", {"soft", "firm"}},
      {"colour", {"red", "purple"}},
      {"warmth", {"hot", "cool"}},
      {"size", {"growing", "stable"}}}},
    {"itching",
     {{"timing", {"nightly", "constant"}},
      {"skin", {"dry", "oily"}},
      {"trigger", {"wool", "soap"}}}},
    {"burning",
     {{"flare", {"brief", "lasting"}}, {"reach", {"narrow", "wide"}}, {"meal", {"spicy", "sour"}}}},
    {"numbness",
     {{"edge", {"crisp", "fuzzy"}}, {"return", {"quick", "slow"}}, {"grip", {"weak", "strong"}}}},
    {"pressure",
     {{"weight", {"light", "crushing"}},
      {"posture", {"standing", "lying"}},
      {"tempo", {"rising", "falling"}}}},
    {"tingling",
     {{"spread", {"patchy", "whole"}},
      {"season", {"summer", "winter"}},
      {"fingers", {"single", "several"}}}},
    {"stiffness",
     {{"stretch", {"painful", "pleasant"}},
      {"bend", {"partial", "full"}},
      {"bath", {"soothing", "useless"}}}},
};

const Part clinic_sites[CLINIC_PARTS] = {
    {"throat",
     {{"voice", {"hoarse", "clear"}},
      {"swallowing", {"scratchy", "tight"}},
      {"cough", {"wet", "tickly"}},
      {"neck", {"lumpy", "level"}}}},
    {"chest",
     {{"breath", {"short", "wheezy"}},
      {"pulse", {"racing", "skipping"}},
      {"sweat", {"clammy", "salty"}},
      {"climb", {"tiring", "fine"}}}},
    {"ear",
     {{"hearing", {"muffled", "normal"}},
      {"discharge", {"watery", "thick"}},
      {"ringing", {"low", "high"}}}},
    {"eye",
     {{"vision", {"blurry", "double"}},
      {"lid", {"droopy", "puffy"}},
      {"glare", {"mild", "severe"}}}},
    {"stomach",
     {{"appetite", {"poor", "hungry"}},
      {"stool", {"loose", "dark"}},
      {"belly", {"bloated", "flat"}}}},
    {"knee",
     {{"joint", {"clicking", "locking"}},
      {"walking", {"shaky", "brisk"}},
      {"kneecap", {"shifting", "fixed"}}}},
    {"nose",
     {{"smell", {"faint", "lost"}},
      {"drip", {"runny", "blocked"}},
      {"sneeze", {"rare", "frequent"}}}},
    {"hip",
     {{"stride", {"limping", "even"}},
      {"sleep", {"broken", "sound"}},
      {"chair", {"deep", "upright"}}}},
};

int clinic_attribute_count(const Part *part)
{
    int count = 0;
    while (count < PART_ATTRIBUTES && part->attributes[count].field)
        count++;
    return count;
}

const char *const clinic_greetings[] = {
    "What brings you here?",
    "How can I help you?",
    "Good morning, please tell me why you came.",
    "Please wait a moment, I will be with you.",
    NULL,
};

const char *const clinic_hellos[] = {
    "Hello doctor.", "Good morning.", "Hello, I need some help.", "Thank you for seeing me.", NULL,
};

const char *const clinic_openings[] = {
    "I have %1$s in my %2$s.",
    "There is %1$s in my %2$s.",
    "I came because of %1$s in the %2$s.",
    "My %2$s has this %1$s.",
    "I notice %1$s, it is in my %2$s.",
    NULL,
};

const char *const clinic_histories[] = {
    "It began last Monday.",   "It began two days ago.",     "It has been there for a week.",
    "I had it last year too.", "It worries me quite a lot.", NULL,
};

const char *const clinic_acknowledges[] = {
    "I see.",         "Thank you.",
    "All right.",     "Understood.",
    "That helps me.", "Let me write it down.",
    "Good to know.",  NULL,
};

const char *const clinic_vague[] = {
    "How do you feel about it?",  "Could you tell me more?",  "What do you think it is?",
    "Does it bother you much?",   "What worries you most?",   "How was it before?",
    "Can you say more about it?", "Is there something else?", NULL,
};

const char *const clinic_shrugs[] = {
    "I do not know.",
    "Hard to say.",
    "It bothers me.",
    "I am not sure.",
    "It comes and it goes.",
    "What do you mean?",
    NULL,
};

const char *const clinic_answers[] = {
    "The %1$s is %2$s.", "It is %2$s.", "I would say %2$s.", "Mostly %2$s.", NULL,
};

const char *const clinic_asides[] = {
    "I hope it is nothing bad.", "My sister had that too.", "I looked it up.",
    "It is a nuisance.",         "I want to go to work.",   NULL,
};

const char *const clinic_closings[] = {
    "That is all I can tell you.",  "There is nothing more to tell.", "So what should I take?",
    "What can you give me for it?", "Now you know everything.",       NULL,
};
