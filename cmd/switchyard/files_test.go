package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// savedTable returns a table that does action with chats and answers status requests.
func savedTable(action string) string {
	return fmt.Sprintf("[route]\nCID_MSG_DATA = %q\nCID_BUDDY_LIST_USERS_STATUS_REQUEST = \"handle users-status-request\"\n", action)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func save(t testing.TB, dir, name, text string) {
	t.Helper()
	write(t, filepath.Join(dir, name), text)
}
