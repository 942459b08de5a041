// Drops chats that are longer than the configuration says, unless a master sent
// them.

#include "switchyard.h"

SY_BUFFER(SY_MAX_BYTES)

// The length of a chat's PDU in bytes, header included. It is written by configure
// alone.
static uint32_t longest;

SY_EXPORT(configure) uint32_t configure(const uint8_t *config, uint32_t len)
{
    int64_t limit;
    if (!sy_integer(config, len, "limit", &limit) || limit < 0 || limit > UINT32_MAX) {
        sy_log(SY_ERROR, "the configuration needs \"limit\", an integer from 0 to 4294967295");
        return 1;
    }
    longest = (uint32_t)limit;
    return 0;
}

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

SY_EXPORT(classify) sy_verdict classify(uint32_t service, uint32_t command)
{
    (void)service;
    return command == CID_MSG_DATA ? routed(command) | SY_INSPECT_HEADER : routed(command);
}

SY_EXPORT(inspect) sy_verdict inspect(uint64_t hi, uint64_t lo, uint64_t session, uint64_t attributes)
{
    uint32_t command = sy_command(lo);
    bool too_long = command == CID_MSG_DATA && sy_length(hi) > longest;
    (void)session;
    return too_long && !sy_is_master(attributes) ? SY_DROP | SY_LOG : routed(command);
}
