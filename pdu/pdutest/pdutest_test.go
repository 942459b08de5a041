//go:build full || race

package pdutest_test

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
)

// The expected bytes are those that a msg_server and the original exchange.
func TestBytes(t *testing.T) {
	const online, offline = pb.UserStatType_USER_STATUS_ONLINE, pb.UserStatType_USER_STATUS_OFFLINE
	const windows, ios = pb.ClientType_CLIENT_TYPE_WINDOWS, pb.ClientType_CLIENT_TYPE_IOS
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"heartbeat", pdutest.Heartbeat(), "00000010 0001 0000 0007 0701 0000 0000"},
		{"role set", pdutest.RoleSet(true), "00000012 0001 0000 0007 0707 0000 0000 0801"},
		{"role unset", pdutest.RoleSet(false), "00000012 0001 0000 0007 0707 0000 0000 0800"},
		{"nobody online", pdutest.Online(), "00000010 0001 0000 0007 0708 0000 0000"},
		{"one online", pdutest.Online(pdutest.Stat(5, online, ios)), "00000018 0001 0000 0007 0708 0000 0000 0a06 0805 1001 1811"},
		{"status update", pdutest.StatusUpdate(5, 77, windows), "00000016 0001 0000 0007 070a 0000 0000 084d 1005 1801"},
		{"status request", pdutest.StatusRequest(8, 3, []byte("d"), 5, 0), "0000001a 0001 0000 0002 020a 0008 0000 0803 1005 1000 a20101 64"},
		{"status request without attachment", pdutest.StatusRequest(8, 3, nil), "00000012 0001 0000 0002 020a 0008 0000 0803"},
		{"status notify", pdutest.StatusNotify(5, offline), "00000016 0001 0000 0002 0203 0000 0000 0a04 0805 1002"},
		{"login notify on", pdutest.LoginNotify(5, true), "00000014 0001 0000 0007 070e 0000 0000 0805 1001"},
		{"login notify off", pdutest.LoginNotify(0, false), "00000014 0001 0000 0007 070e 0000 0000 0800 1000"},
		{"status response", pdutest.StatusResponse(8, 3, []byte("d"), pdutest.UserStat(5, online), pdutest.UserStat(6, offline)),
			"00000022 0001 0000 0002 020b 0008 0000 0803 1204 0805 1001 1204 0806 1002 a20101 64"},
		{"status response, always an attachment", pdutest.StatusResponse(8, 3, nil), "00000015 0001 0000 0002 020b 0008 0000 0803 a20100"},
		{"required fields left out", pdutest.PDU(pdu.CID_OTHER_ROLE_SET, 9, &pb.IMRoleSet{}), "00000010 0001 0000 0007 0707 0009 0000"},
		{"unknown command", pdutest.Raw(0x09ff, 1, []byte{0xab}), "00000011 0001 0000 0009 09ff 0001 0000 ab"},
	} {
		if got, want := hex.EncodeToString(c.got), strings.ReplaceAll(c.want, " ", ""); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, want)
		}
	}
}

func TestSplit(t *testing.T) {
	beat, role := pdutest.Heartbeat(), pdutest.RoleSet(true)
	runt := pdutest.Heartbeat()
	runt[3] = 15
	for _, c := range []struct {
		name string
		want [][]byte
	}{
		{"nothing", nil},
		{"whole", [][]byte{beat, role, beat}},
		{"cut in the header", [][]byte{role, beat[:15]}},
		{"cut in the body", [][]byte{role, role[:17]}},
		{"illegal length", [][]byte{role, append(runt, beat...)}},
	} {
		got := pdutest.Split(slices.Concat(c.want...))
		if !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%s: got %x, want %x", c.name, got, c.want)
		}
	}
}

func TestDump(t *testing.T) {
	odd := pdu.Header{Length: 17, Version: 2, Flag: 3, Service: 9, Command: 0x09ff, Reserved: 4}.Append(nil)
	elsewhere := pdu.Append(nil, pdu.SID_MSG, pdu.CID_OTHER_ROLE_SET, 1, []byte{8, 1})
	for _, c := range []struct {
		pdu  []byte
		want string
	}{
		{pdutest.Heartbeat(), "CID_OTHER_HEARTBEAT seq 0 {}"},
		{pdutest.RoleSet(true), "CID_OTHER_ROLE_SET seq 0 {master:1}"},
		{elsewhere, "CID_OTHER_ROLE_SET seq 1 service SID_MSG {master:1}"},
		{append(odd, 0xab), "0x09ff seq 0 version 2 flag 3 reserved 4 1 bytes ab"},
		{pdutest.Raw(pdu.CID_OTHER_ROLE_SET, 2, []byte{8}), "CID_OTHER_ROLE_SET seq 2 1 bytes 08"},
		{pdutest.Raw(0xffff, 0, make([]byte, 50)), "0xffff seq 0 50 bytes " + strings.Repeat("00", 48) + "..."},
		{pdutest.Heartbeat()[:5], "not a PDU: 5 bytes 0000001000"},
		{append(pdutest.Heartbeat(), 0), "not a PDU: 17 bytes 0000001000010000000707010000000000"},
		{nil, "not a PDU: 0 bytes "},
	} {
		if got := pdutest.Dump(c.pdu); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
