// A guest in C without a library: chats go to the session that is the sum of
// their bytes, everything else is broadcast.
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name)))

static uint8_t room[4096];

EXPORT(switchyard_abi_v1) void marker(void) {}

EXPORT(buffer) uint8_t *buffer(uint32_t size) { return size <= sizeof room ? room : 0; }

EXPORT(classify) uint64_t classify(uint32_t service, uint32_t command)
{
    (void)service;
    switch (command) {
    case 0x0301: return 1u << 9 | 4;
    case 0x0701: return 1;
    case 0x0215: return 5;
    case 0x0304: case 0x0601: case 0x070d: case 0x040b: case 0x0508: case 0x020f: return 4;
    }
    return 0;
}

EXPORT(inspect_body) uint64_t inspect_body(const uint8_t *body, uint32_t len,
    uint64_t header_hi, uint64_t header_lo, uint64_t session, uint64_t attributes)
{
    (void)header_hi, (void)header_lo, (void)session, (void)attributes;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < len; i++)
        sum += body[i];
    return sum << 32 | 1 << 16 | 3;
}
