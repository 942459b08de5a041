// The guest's side of version 1 of Switchyard's policy ABI, for a policy in one file
// of C. It needs no library, allocates nothing, exports the marker, and compiles
// natively, too, for tests.

#ifndef SWITCHYARD_H
#define SWITCHYARD_H

#include <stdbool.h>
#include <stdint.h>

#include "switchyard_names.h"

// SY_EXPORT(name) stands before a function of that name that the server calls.
#ifdef __wasm__
#define SY_EXPORT(name) __attribute__((used, export_name(#name)))
#else
#define SY_EXPORT(name) __attribute__((used))
#endif

SY_EXPORT(switchyard_abi_v1) void sy_marker(void) {}

// SY_BUFFER(size) gives room for bodies and configurations of up to size bytes. It
// stands once in a policy that has inspect_body or configure. The server puts them
// there and passes the address: const uint8_t *body.
#define SY_BUFFER(size)                                                                     \
    static uint8_t sy_room[size];                                                           \
    SY_EXPORT(buffer) uint8_t *sy_buffer(uint32_t wanted)                                   \
    {                                                                                       \
        return wanted <= sizeof sy_room ? sy_room : 0;                                      \
    }

// The largest body and configuration that the server hands out unless it is
// configured otherwise.
enum { SY_MAX_BYTES = 64 << 10 };

// ---- verdicts

// A verdict says what happens to one PDU: one of the constants or functions below,
// or'ed with flags.
typedef uint64_t sy_verdict;

#define SY_DROP                    ((sy_verdict)0)
#define SY_CONSUME                 ((sy_verdict)1) // accepted, nothing to send
#define SY_UNICAST_SENDER          ((sy_verdict)3)
#define SY_UNICAST_MASTER          ((sy_verdict)3 | 4 << 16) // the peers that declared themselves master
#define SY_BROADCAST_EXCEPT_SENDER ((sy_verdict)4)
#define SY_BROADCAST_ALL           ((sy_verdict)5)
#define SY_CLOSE                   ((sy_verdict)6) // the sender's connection

// The flags. With an INSPECT flag, the rest is what happens if the inspection fails.
#define SY_INSPECT_HEADER ((sy_verdict)1 << 8)  // ask inspect about each PDU
#define SY_INSPECT_BODY   ((sy_verdict)1 << 9)  // ask inspect_body about each PDU
#define SY_LOG            ((sy_verdict)1 << 10) // log the PDU's header
#define SY_NOT_SENDER     ((sy_verdict)1 << 11) // leave the sender out of a unicast's targets
#define SY_ELSE_BROADCAST ((sy_verdict)1 << 12) // if a user that a unicast names is not known

// The handlers that are built into the server.
typedef enum {
    SY_ONLINE_USER_INFO = 1,
    SY_USER_STATUS_UPDATE = 2,
    SY_ROLE_SET = 3,
    SY_USERS_STATUS_REQUEST = 4,
} sy_handler;

static inline sy_verdict sy_handle(sy_handler handler) { return 2 | (sy_verdict)handler << 32; }

static inline sy_verdict sy_unicast_session(uint32_t number) { return 3 | 1 << 16 | (sy_verdict)number << 32; }

// sy_unicast_user sends to the peers that hold the user.
static inline sy_verdict sy_unicast_user(uint32_t user) { return 3 | 2 << 16 | (sy_verdict)user << 32; }

// sy_unicast_fields sends to the peers that hold the users in varint fields of the
// body: sy_unicast_fields(SY_FIELD(1) | SY_FIELD(2)), with fields from 1 to 31.
static inline sy_verdict sy_unicast_fields(uint32_t fields) { return 3 | 3 << 16 | (sy_verdict)fields << 32; }

#define SY_FIELD(number) ((uint32_t)1 << (number))

// ---- rate limits

// A policy that limits exports rate_limit, and names the limits of that function in its verdicts:
// SY_BROADCAST_ALL | sy_limit(1). The server asks for the numbers from 1 on, and stops at one
// without a rate, which is 0. What drops, consumes, closes, or handles users and roles has none.
//
//     SY_EXPORT(rate_limit) sy_rate rate_limit(uint32_t number, uint32_t scope)
//     {
//         return number == 1 && scope == SY_PER_PEER ? sy_burst(sy_per_second(50), 100) : 0;
//     }
typedef uint64_t sy_rate;

enum { SY_PER_PEER = 0, SY_PER_TENANT = 1 }; // of each peer, or of all peers of the tenant together

// sy_limit names a rate limit in a verdict, 1 to 63.
static inline sy_verdict sy_limit(uint32_t number) { return (sy_verdict)(number & 63) << 26; }

// 1 to 1,000,000 PDUs in a second or a minute, and as many at once.
static inline sy_rate sy_per_second(uint32_t pdus) { return (pdus & 0xffffff) | (sy_rate)1 << 24; }
static inline sy_rate sy_per_minute(uint32_t pdus) { return (pdus & 0xffffff) | (sy_rate)2 << 24; }

// sy_burst lets that many PDUs through at once, 1 to 1,000,000.
static inline sy_rate sy_burst(sy_rate rate, uint32_t pdus) { return (rate & 0xffffffff) | (sy_rate)(pdus & 0xffffff) << 32; }

// ---- groups of peers

// SY_GROUPS(names) names the groups that the policy knows, with line feeds between; the first one is
// group 0. It stands once in a policy: SY_GROUPS("admin\narchive"). The tenant must have them all.
#define SY_GROUPS(names)                                                                    \
    SY_EXPORT(switchyard_groups) uint64_t sy_groups(void)                                   \
    {                                                                                       \
        static const char text[] = names;                                                   \
        return (uint64_t)(uintptr_t)text << 32 | (sizeof text - 1);                         \
    }

// sy_unicast_group sends to all peers of the group.
static inline sy_verdict sy_unicast_group(uint32_t group) { return 3 | 5 << 16 | (sy_verdict)group << 32; }

// sy_also_group adds a copy for the group to a unicast or a broadcast:
// SY_BROADCAST_EXCEPT_SENDER | sy_also_group(1).
static inline sy_verdict sy_also_group(uint32_t group) { return (sy_verdict)1 << 13 | (sy_verdict)(group & 31) << 20; }

// sy_is_in reports whether the sender is in the group, by the attributes of inspect and inspect_body.
static inline bool sy_is_in(uint64_t attributes, uint32_t group) { return attributes >> (32 + (group & 31)) & 1; }

// ---- headers, as inspect and inspect_body get them

static inline uint32_t sy_length(uint64_t hi) { return (uint32_t)(hi >> 32); } // in bytes, the header's 16 included
static inline uint32_t sy_version(uint64_t hi) { return (uint32_t)(hi >> 16) & 0xffff; }
static inline uint32_t sy_flag(uint64_t hi) { return (uint32_t)hi & 0xffff; }
static inline uint32_t sy_service(uint64_t lo) { return (uint32_t)(lo >> 48); }
static inline uint32_t sy_command(uint64_t lo) { return (uint32_t)(lo >> 32) & 0xffff; }
static inline uint32_t sy_sequence(uint64_t lo) { return (uint32_t)(lo >> 16) & 0xffff; }
static inline uint32_t sy_reserved(uint64_t lo) { return (uint32_t)lo & 0xffff; }

// sy_is_master reports whether the sender declared itself master. Ignore the other
// bits: later versions may define them.
static inline bool sy_is_master(uint64_t attributes) { return attributes & 1; }

// ---- bodies

// The number of fields that are read of one body, so that a scan ends within the fuel
// of a decision in every language. A body with more fields is not readable.
enum { SY_MAX_FIELDS = 256 };

// The wire types of fields. Groups, 3 and 4, are not readable.
enum { SY_VARINT = 0, SY_FIXED64 = 1, SY_BYTES = 2, SY_FIXED32 = 5 };

// A sy_scanner reads the fields of a protobuf message one by one. It never reads
// outside the message, whatever the message contains:
//
//     sy_scanner s = sy_scan(body, len);
//     while (sy_next(&s)) {
//         if (sy_is(&s, 1, SY_VARINT))
//             user = (uint32_t)s.value;
//         else if (sy_is(&s, 20, SY_BYTES))
//             look_at(s.bytes, s.length);
//         else if (s.number == 5)
//             while (sy_next_value(&s)) // repeated, packed or not
//                 users++;
//     }
//     if (s.unreadable)
//         return fallback;
typedef struct {
    uint32_t number;      // of the field
    uint32_t type;        // its wire type
    uint64_t value;       // of a varint field, or the one that sy_next_value read
    const uint8_t *bytes; // of a bytes field, which may be a message to scan
    uint32_t length;      // of bytes; 0 for other fields
    bool unreadable;      // what was read so far is not a message; nothing more will be read

    bool single; // sy_next_value has not seen the varint yet
    uint32_t fields;
    const uint8_t *at, *end;     // of the message
    const uint8_t *list;         // where sy_next_value goes on in bytes
} sy_scanner;

static inline sy_scanner sy_scan(const uint8_t *body, uint32_t len)
{
    sy_scanner s = {.at = body, .end = body + len, .bytes = body, .list = body};
    return s;
}

static inline bool sy_fail(sy_scanner *s)
{
    s->unreadable = true;
    s->single = false;
    s->list = s->bytes = s->at = s->end;
    s->length = 0;
    return false;
}

// sy_varint reads a varint at *at and moves *at behind it. Bits above the 64th are
// lost.
static inline bool sy_varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 70 && *at != end; shift += 7) {
        uint8_t c = *(*at)++;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            *value = v;
            return true;
        }
    }
    return false;
}

static inline bool sy_skip(sy_scanner *s, uint64_t n)
{
    if (n > (uint64_t)(s->end - s->at))
        return sy_fail(s);
    s->at += n;
    return true;
}

// sy_next reads the next field, and reports whether there was one. It returns false
// after the last field and after a field that is not readable.
static inline bool sy_next(sy_scanner *s)
{
    uint64_t v;
    if (s->unreadable || s->at == s->end)
        return false;
    if (++s->fields > SY_MAX_FIELDS || !sy_varint(&s->at, s->end, &v) || (uint32_t)v == 0)
        return sy_fail(s);
    s->number = (uint32_t)v >> 3;
    s->type = v & 7;
    s->value = 0;
    s->single = false;
    s->length = 0;
    s->bytes = s->list = s->at;
    switch (s->type) {
    case SY_VARINT:
        s->single = sy_varint(&s->at, s->end, &s->value);
        return s->single || sy_fail(s);
    case SY_FIXED64:
        return sy_skip(s, 8);
    case SY_BYTES:
        if (!sy_varint(&s->at, s->end, &v) || v > INT32_MAX)
            return sy_fail(s);
        s->bytes = s->list = s->at;
        if (!sy_skip(s, v))
            return false;
        s->length = (uint32_t)v;
        return true;
    case SY_FIXED32:
        return sy_skip(s, 4);
    }
    return sy_fail(s);
}

static inline bool sy_is(const sy_scanner *s, uint32_t number, uint32_t type) { return s->number == number && s->type == type; }

// sy_next_value reads the next value of a repeated field into value, and reports
// whether there was one. A varint field has one value, and a bytes field is read as a
// packed list of varints; other fields have none. A malformed list makes the body
// unreadable.
static inline bool sy_next_value(sy_scanner *s)
{
    if (s->single) {
        s->single = false;
        return true;
    }
    if (s->list == s->bytes + s->length)
        return false;
    return sy_varint(&s->list, s->bytes + s->length, &s->value) || sy_fail(s);
}

// sy_equal compares bytes with a text.
static inline bool sy_equal(const uint8_t *bytes, uint32_t length, const char *text)
{
    for (; length > 0 && *text && *bytes == (uint8_t)*text; length--)
        bytes++, text++;
    return length == 0 && !*text;
}

// ---- configurations

// These functions read parts of a flat JSON object at *at, and move *at behind them.

static inline void sy_blanks(const uint8_t **at, const uint8_t *end)
{
    while (*at != end && (**at == ' ' || **at == '\t' || **at == '\r' || **at == '\n'))
        ++*at;
}

// sy_after reads c and the blanks around it, and reports whether c was there.
static inline bool sy_after(const uint8_t **at, const uint8_t *end, uint8_t c)
{
    sy_blanks(at, end);
    if (*at == end || **at != c)
        return false;
    ++*at;
    sy_blanks(at, end);
    return true;
}

// sy_text reads a string with its quotes.
static inline bool sy_text(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at;
    if (p == end || *p != '"')
        return false;
    for (p++; p != end; p++) {
        if (*p == '"') {
            *at = p + 1;
            return true;
        }
        if (*p == '\\' && ++p == end)
            return false;
    }
    return false;
}

static inline bool sy_literal(const uint8_t **at, const uint8_t *end, const char *text)
{
    const uint8_t *p = *at;
    for (; *text; p++, text++)
        if (p == end || *p != (uint8_t)*text)
            return false;
    *at = p;
    return true;
}

static inline bool sy_in_number(uint8_t c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

// sy_value reads a string, a number or a literal.
static inline bool sy_value(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *from = *at;
    if (sy_literal(at, end, "true") || sy_literal(at, end, "false") || sy_literal(at, end, "null"))
        return true;
    while (*at != end && sy_in_number(**at))
        ++*at;
    return *at != from || sy_text(at, end);
}

// sy_digits reads a minus, if there is one, and 1 to 18 digits.
static inline bool sy_digits(const uint8_t *at, const uint8_t *end, int64_t *value)
{
    bool negative = at != end && *at == '-';
    int64_t v = 0;
    at += negative;
    if (at == end || end - at > 18 || (end - at > 1 && *at == '0'))
        return false;
    for (; at != end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        v = v * 10 + (*at - '0');
    }
    *value = negative ? -v : v;
    return true;
}

// sy_integer reads the value of a key in a flat JSON object, and reports whether it is
// an integer of up to 18 digits. It returns false for a nested object or list and for
// a text that is not a JSON object. If the key occurs more than once, the last value
// counts. Keys are compared as they are written, without resolving escapes.
static inline bool sy_integer(const uint8_t *config, uint32_t len, const char *key, int64_t *value)
{
    const uint8_t *at = config, *end = config + len;
    int64_t v = 0;
    bool found = false;
    if (!sy_after(&at, end, '{'))
        return false;
    for (bool more = !sy_after(&at, end, '}'); more;) {
        const uint8_t *name = at + 1, *name_end, *written;
        if (!sy_text(&at, end))
            return false;
        name_end = at - 1;
        if (!sy_after(&at, end, ':'))
            return false;
        written = at;
        if (!sy_value(&at, end))
            return false;
        if (sy_equal(name, (uint32_t)(name_end - name), key))
            found = sy_digits(written, at, &v);
        more = sy_after(&at, end, ',');
        if (!more && !sy_after(&at, end, '}'))
            return false;
    }
    sy_blanks(&at, end);
    if (!found || at != end)
        return false;
    *value = v;
    return true;
}

// ---- the server's log

enum { SY_DEBUG = 0, SY_INFO = 1, SY_WARN = 2, SY_ERROR = 3 };

#ifdef __wasm__
__attribute__((import_module("switchyard_v1"), import_name("log"))) void sy_host_log(int32_t level, const char *text, uint32_t len);
#else
static inline void sy_host_log(int32_t level, const char *text, uint32_t len) { (void)level, (void)text, (void)len; }
#endif

// sy_log writes a line to the server's log; natively it does nothing.
static inline void sy_log(int32_t level, const char *text)
{
    uint32_t len = 0;
    while (text[len])
        len++;
    sy_host_log(level, text, len);
}

#endif
