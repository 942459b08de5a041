// Tests the policy natively, as a program of its own.

#include <stdio.h>

#include "policy.c"

static int failed;

static void expect(const char *name, sy_verdict got, sy_verdict want)
{
    if (got == want)
        return;
    printf("%s: got 0x%llx, want 0x%llx\n", name, (unsigned long long)got, (unsigned long long)want);
    failed = 1;
}

// CHAT decides about a body of these bytes. A field is its number<<3, for a varint,
// and the value.
#define CHAT(...) chat((const uint8_t[]){__VA_ARGS__}, sizeof(uint8_t[]){__VA_ARGS__})

int main(void)
{
    sy_verdict to_users = sy_unicast_fields(SY_FIELD(1) | SY_FIELD(2)) | SY_NOT_SENDER | SY_ELSE_BROADCAST;

    expect("single text", CHAT(1 << 3, 7, 2 << 3, 9, 5 << 3, 1), to_users);
    expect("single audio", CHAT(5 << 3, 2), to_users);
    expect("group text", CHAT(1 << 3, 7, 2 << 3, 9, 5 << 3, 17), SY_BROADCAST_EXCEPT_SENDER);
    expect("no type", CHAT(1 << 3, 7), SY_BROADCAST_EXCEPT_SENDER);
    expect("cut off", CHAT(5 << 3, 1, 2 << 3), SY_BROADCAST_EXCEPT_SENDER);

    expect("a chat by its id", classify(SID_MSG, CID_MSG_DATA), SY_BROADCAST_EXCEPT_SENDER | SY_INSPECT_BODY);
    expect("a heartbeat", classify(SID_OTHER, CID_OTHER_HEARTBEAT), SY_CONSUME);
    expect("an unknown command", classify(0, 0xffff), SY_DROP | SY_LOG);

    if (!failed)
        puts("ok");
    return failed;
}
