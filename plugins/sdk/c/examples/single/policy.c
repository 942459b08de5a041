// Sends single chats, and news of a group to few users, only to the peers that hold
// these users.

#include "switchyard.h"

SY_BUFFER(SY_MAX_BYTES)

// routed is TeamTalk's table.
static sy_verdict routed(uint32_t command)
{
    switch (command) {
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
    case CID_MSG_DATA:
    case CID_SWITCH_P2P_CMD:
    case CID_MSG_READ_NOTIFY:
    case CID_OTHER_SERVER_KICK_USER:
    case CID_GROUP_CHANGE_MEMBER_NOTIFY:
    case CID_FILE_NOTIFY:
    case CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY:
        return SY_BROADCAST_EXCEPT_SENDER;
    case CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY:
        return SY_BROADCAST_ALL;
    }
    return SY_DROP | SY_LOG;
}

// The fields of IM.Message.IMMsgData that count here.
enum { FROM_USER_ID = 1, TO_SESSION_ID = 2, MSG_TYPE = 5, ATTACH_DATA = 20 };

// chat decides about a chat: a single one goes to its two users, unless it is marked
// for everybody.
static sy_verdict chat(const uint8_t *body, uint32_t len)
{
    uint32_t kind = 0;
    bool everybody = false;
    sy_scanner s = sy_scan(body, len);
    while (sy_next(&s)) {
        if (sy_is(&s, MSG_TYPE, SY_VARINT))
            kind = (uint32_t)s.value;
        else if (sy_is(&s, ATTACH_DATA, SY_BYTES))
            everybody = sy_equal(s.bytes, s.length, "broadcast");
    }
    if (s.unreadable || everybody || (kind != 1 && kind != 2))
        return SY_BROADCAST_EXCEPT_SENDER;
    return sy_unicast_fields(SY_FIELD(FROM_USER_ID) | SY_FIELD(TO_SESSION_ID)) | SY_NOT_SENDER | SY_ELSE_BROADCAST;
}

// The field of IM.Group.IMGroupChangeMemberNotify that counts here.
enum { CHG_USER_ID_LIST = 5 };

// members decides about a change of a group's members: it goes to those who come or
// leave, if they are few.
static sy_verdict members(const uint8_t *body, uint32_t len)
{
    uint32_t changed = 0, user = 0;
    sy_scanner s = sy_scan(body, len);
    while (changed <= 3 && sy_next(&s)) {
        if (s.number != CHG_USER_ID_LIST)
            continue;
        for (; changed <= 3 && sy_next_value(&s); changed++)
            user = (uint32_t)s.value;
    }
    if (s.unreadable || changed > 3)
        return SY_BROADCAST_EXCEPT_SENDER;
    switch (changed) {
    case 0:
        return SY_DROP;
    case 1:
        return sy_unicast_user(user) | SY_NOT_SENDER | SY_ELSE_BROADCAST;
    }
    return sy_unicast_fields(SY_FIELD(CHG_USER_ID_LIST)) | SY_NOT_SENDER | SY_ELSE_BROADCAST;
}

SY_EXPORT(classify) sy_verdict classify(uint32_t service, uint32_t command)
{
    (void)service;
    if (command == CID_MSG_DATA || command == CID_GROUP_CHANGE_MEMBER_NOTIFY)
        return routed(command) | SY_INSPECT_BODY;
    return routed(command);
}

SY_EXPORT(inspect_body) sy_verdict inspect_body(const uint8_t *body, uint32_t len, uint64_t hi, uint64_t lo, uint64_t session, uint64_t attributes)
{
    (void)hi, (void)session, (void)attributes;
    switch (sy_command(lo)) {
    case CID_MSG_DATA:
        return chat(body, len);
    case CID_GROUP_CHANGE_MEMBER_NOTIFY:
        return members(body, len);
    }
    return routed(sy_command(lo));
}
