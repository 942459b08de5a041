// Tests the SDK natively, best with -fsanitize=address,undefined: every text stands
// in memory of exactly its size, so that a byte read outside of it is seen.

#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "switchyard.h"

// exactly returns a copy of len bytes with nothing behind it.
static uint8_t *exactly(const void *text, uint32_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert(copy);
    if (len)
        memcpy(copy, text, len);
    return len ? copy : copy + 1; // of nothing, not even the first byte may be read
}

static void release(uint8_t *copy, uint32_t len) { free(len ? copy : copy - 1); }

static void test_verdicts(void)
{
    assert((SY_DROP | SY_LOG) == 0x400);
    assert(SY_CONSUME == 1);
    assert(sy_handle(SY_ROLE_SET) == 0x300000002);
    assert(SY_UNICAST_SENDER == 3);
    assert(sy_unicast_session(7) == 0x700010003);
    assert((sy_unicast_user(1001) | SY_NOT_SENDER) == 0x3e900020803);
    assert(sy_unicast_user(UINT32_MAX) == 0xffffffff00020003);
    assert((sy_unicast_fields(SY_FIELD(1) | SY_FIELD(2)) | SY_NOT_SENDER | SY_ELSE_BROADCAST) == 0x600031803);
    assert(sy_unicast_fields(SY_FIELD(31)) == 0x8000000000030003);
    assert(SY_UNICAST_MASTER == 0x40003);
    assert((SY_BROADCAST_EXCEPT_SENDER | SY_INSPECT_BODY) == 0x204);
    assert((SY_BROADCAST_EXCEPT_SENDER | SY_INSPECT_HEADER) == 0x104);
    assert((SY_BROADCAST_ALL | SY_LOG) == 0x405);
    assert((SY_BROADCAST_EXCEPT_SENDER | sy_limit(1)) == 0x4000004 && sy_limit(63) == 0xfc000000);
    assert(sy_per_second(50) == 0x1000032 && sy_burst(sy_per_minute(30), 5) == 0x50200001e);
    assert(SY_CLOSE == 6);
}

static void test_header(void)
{
    uint64_t hi = 0xfedcba9876543210, lo = 0xf0e1d2c3b4a59687;
    assert(sy_length(hi) == 0xfedcba98 && sy_version(hi) == 0x7654 && sy_flag(hi) == 0x3210);
    assert(sy_service(lo) == 0xf0e1 && sy_command(lo) == 0xd2c3 && sy_sequence(lo) == 0xb4a5 && sy_reserved(lo) == 0x9687);
    assert(sy_is_master(1) && sy_is_master(3) && !sy_is_master(0) && !sy_is_master((uint64_t)1 << 63 | 2));
}

static void test_scan(void)
{
    static const char body[] = "\x08\x96\x01\x11\x01\x02\x03\x04\x05\x06\x07\x08\x1a\x03" "abc\x25\x01\x02\x03\x04\xa2\x01\x00";
    uint8_t *b = exactly(body, sizeof body - 1);
    sy_scanner s = sy_scan(b, sizeof body - 1);
    assert(sy_next(&s) && sy_is(&s, 1, SY_VARINT) && s.value == 150 && s.length == 0);
    assert(sy_next(&s) && sy_is(&s, 2, SY_FIXED64) && !sy_next_value(&s));
    assert(sy_next(&s) && sy_is(&s, 3, SY_BYTES) && sy_equal(s.bytes, s.length, "abc") && !sy_equal(s.bytes, s.length, "ab") && !sy_equal(s.bytes, s.length, "abcd"));
    assert(sy_next(&s) && sy_is(&s, 4, SY_FIXED32));
    assert(sy_next(&s) && sy_is(&s, 20, SY_BYTES) && s.length == 0 && sy_equal(s.bytes, s.length, ""));
    assert(!sy_next(&s) && !s.unreadable && !sy_next(&s));
    release(b, sizeof body - 1);
}

static void test_values(void)
{
    static const char body[] = "\x28\x01\x2a\x03\x02\xac\x02\x2a\x00\x2d\x01\x02\x03\x04\x28\x05";
    static const uint64_t want[] = {1, 2, 300, 5};
    uint8_t *b = exactly(body, sizeof body - 1);
    sy_scanner s = sy_scan(b, sizeof body - 1);
    size_t n = 0;
    while (sy_next(&s))
        while (sy_next_value(&s))
            assert(n < 4 && s.value == want[n++]);
    assert(n == 4 && !s.unreadable);
    release(b, sizeof body - 1);

    b = exactly("\x2a\x01\x80\x01", 4); // what follows the list is not its
    s = sy_scan(b, 4);
    assert(sy_next(&s) && !sy_next_value(&s) && s.unreadable && !sy_next(&s) && !sy_next_value(&s));
    release(b, 4);
}

static int64_t integer(const char *config)
{
    uint32_t len = (uint32_t)strlen(config);
    uint8_t *c = exactly(config, len);
    int64_t value = -7;
    bool found = sy_integer(c, len, "limit", &value);
    assert(found || value == -7);
    release(c, len);
    return value;
}

static void test_integer(void)
{
    assert(integer("{\"limit\": 100}") == 100);
    assert(integer(" { \"a\" : \"\\\"}\" , \"limit\":-1 } ") == -1);
    assert(integer("{\"limit\": 123456789012345678}") == 123456789012345678);
    assert(integer("{\"limit\": 1234567890123456789}") == -7);
    assert(integer("{\"limit\": 1") == -7);
    assert(integer("{\"limit\": \"") == -7);
    assert(integer("{\"limit\\") == -7);
    assert(integer("{\"limi\": 1}") == -7);
    assert(integer("") == -7);
}

static uint64_t seed = 1;

static uint32_t chance(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

// scan_all goes through a body and checks that what comes out is a part of it.
static void scan_all(const uint8_t *body, uint32_t len)
{
    sy_scanner s = sy_scan(body, len);
    const uint8_t *before = body;
    uint32_t n = 0;
    while (sy_next(&s)) {
        uint32_t values = 0;
        assert(++n <= SY_MAX_FIELDS && s.at > before && s.at <= body + len);
        before = s.at;
        if (s.type == SY_BYTES) {
            assert(s.bytes >= body && s.bytes + s.length == s.at);
            if (s.length && s.length < len)
                scan_all(s.bytes, s.length);
        }
        while (sy_next_value(&s))
            assert(++values <= len);
    }
    assert(s.unreadable || s.at == body + len);
    assert(!sy_next(&s) && !sy_next_value(&s));
}

// Random bodies of bytes that mean something where fields begin, and random
// configurations of characters that mean something in JSON.
static void test_random(void)
{
    static const uint8_t likely[] = {0x08, 0x28, 0x2a, 0x32, 0x80, 0xff, 0x01, 0x02, 0x00, 0x05, 0x25, 0x29, 0x0b, 0x0c, 0x7f, 0x04};
    static const char json[] = "{}\"\"limit:,\\ 019-truefalsenull.+[";
    uint8_t text[64];
    for (int round = 0; round < 400000; round++) {
        uint32_t len = chance(sizeof text + 1);
        for (uint32_t i = 0; i < len; i++)
            text[i] = chance(4) ? likely[chance(sizeof likely)] : (uint8_t)chance(256);
        uint8_t *b = exactly(text, len);
        scan_all(b, len);
        release(b, len);
    }
    for (int round = 0; round < 400000; round++) {
        uint32_t len = chance(24), put = 0;
        int64_t value;
        if (chance(2)) {
            memcpy(text, "{\"limit\":", 9);
            put = 9;
        }
        for (uint32_t i = 0; i < len; i++)
            text[put++] = chance(20) ? (uint8_t)json[chance(sizeof json - 1)] : (uint8_t)chance(256);
        uint8_t *c = exactly(text, put);
        sy_integer(c, put, "limit", &value);
        release(c, put);
    }
}

int main(void)
{
    test_verdicts();
    test_header();
    test_scan();
    test_values();
    test_integer();
    test_random();
    puts("ok");
}
