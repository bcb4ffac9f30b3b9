// clinic_words.h - what the patients of the synthetic clinic complain about and how everyone talks.
//
// A complaint is a symptom in a site. Each symptom and each site has attributes of its own, and a
// complaint's attributes are those of its two parts: a rule that the opening words show, so it also
// tells what to ask about pairs that were never seen together. No two attributes share a stem, and
// what is not asked about (small talk) shares none with them.

#ifndef L2A_TOOLS_CLINIC_WORDS_H
#define L2A_TOOLS_CLINIC_WORDS_H

enum {
    CLINIC_PARTS = 8,    // symptoms, and sites
    PART_ATTRIBUTES = 4, // most of one part
    COMPLAINT_ATTRIBUTES = 8,
    ATTRIBUTE_VALUES = 2,
};

// Asked as "Is the FIELD VALUE or VALUE?"; the fact is "FIELD: VALUE".
typedef struct {
    const char *field; // NULL: none
    const char *values[ATTRIBUTE_VALUES];
} Attribute;

typedef struct {
    const char *name;
    Attribute attributes[PART_ATTRIBUTES];
} Part;

extern const Part clinic_symptoms[CLINIC_PARTS], clinic_sites[CLINIC_PARTS];

// Number of a part's attributes.
int clinic_attribute_count(const Part *part);

// Ways to say a thing; a list ends with NULL. In openings %1$s is the symptom and %2$s the site, in
// answers %1$s is the field and %2$s the value.
extern const char *const clinic_greetings[];    // the doctor's, before anything is known
extern const char *const clinic_hellos[];       // the patient's
extern const char *const clinic_openings[];     // the complaint
extern const char *const clinic_histories[];    // said along with it
extern const char *const clinic_acknowledges[]; // the doctor's, before a question
extern const char *const clinic_vague[];        // questions that collect nothing
extern const char *const clinic_shrugs[];       // answers to them
extern const char *const clinic_answers[];
extern const char *const clinic_asides[];   // said along with an answer
extern const char *const clinic_closings[]; // when everything was told

#endif
