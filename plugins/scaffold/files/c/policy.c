// Routes as TeamTalk does, but a single chat goes only to the servers that hold one
// of its two users.

#include "switchyard.h"

SY_BUFFER(SY_MAX_BYTES) // room for bodies

// classify decides by the ids alone. It is asked once for each pair of them.
SY_EXPORT(classify) sy_verdict classify(uint32_t service, uint32_t command)
{
    (void)service;
    switch (command) {
    case CID_MSG_DATA:
        return SY_BROADCAST_EXCEPT_SENDER | SY_INSPECT_BODY; // broadcast if the inspection fails
    case CID_SWITCH_P2P_CMD:
    case CID_MSG_READ_NOTIFY:
    case CID_OTHER_SERVER_KICK_USER:
    case CID_GROUP_CHANGE_MEMBER_NOTIFY:
    case CID_FILE_NOTIFY:
    case CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY:
        return SY_BROADCAST_EXCEPT_SENDER;
    case CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY:
        return SY_BROADCAST_ALL;
    case CID_OTHER_HEARTBEAT:
        return SY_CONSUME;
    case CID_OTHER_ONLINE_USER_INFO:
        return sy_handle(SY_ONLINE_USER_INFO);
    case CID_OTHER_USER_STATUS_UPDATE:
        return sy_handle(SY_USER_STATUS_UPDATE);
    case CID_OTHER_ROLE_SET:
        return sy_handle(SY_ROLE_SET);
    case CID_BUDDY_LIST_USERS_STATUS_REQUEST:
        return sy_handle(SY_USERS_STATUS_REQUEST);
    }
    return SY_DROP | SY_LOG;
}

// The fields of a chat that count here, and the types of a single one.
enum { FROM_USER_ID = 1, TO_SESSION_ID = 2 /* the receiver */, MSG_TYPE = 5 };
enum { SINGLE_TEXT = 1, SINGLE_AUDIO = 2 };

// chat decides about a chat by its body.
static sy_verdict chat(const uint8_t *body, uint32_t len)
{
    uint64_t type = 0;
    sy_scanner s = sy_scan(body, len);
    while (sy_next(&s))
        if (sy_is(&s, MSG_TYPE, SY_VARINT))
            type = s.value;
    if (s.unreadable || (type != SINGLE_TEXT && type != SINGLE_AUDIO))
        return SY_BROADCAST_EXCEPT_SENDER;
    return sy_unicast_fields(SY_FIELD(FROM_USER_ID) | SY_FIELD(TO_SESSION_ID)) | SY_NOT_SENDER | SY_ELSE_BROADCAST;
}

// inspect_body decides about one PDU of those that classify wants inspected: a chat.
SY_EXPORT(inspect_body) sy_verdict inspect_body(const uint8_t *body, uint32_t len, uint64_t header_hi, uint64_t header_lo,
                                                uint64_t session, uint64_t attributes)
{
    (void)header_hi, (void)header_lo, (void)session, (void)attributes;
    return chat(body, len);
}
