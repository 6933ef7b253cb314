package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"latchkey/db/dbtest"
)

// It is what docs/operations.md says of restoring a backup, in its order.
func TestWhatARestoredBackupDoesToSessionsAndHowToEndThem(t *testing.T) {
	url := dbtest.SQLite(t)
	path := strings.TrimPrefix(url, "sqlite:")
	p := start(t, url)
	p.signUp(t)
	login := func() map[string]any { return p.login(t, "ada@example.com", password) }
	unchanged, refreshed, revoked := login(), login(), login()
	backup := filepath.Join(t.TempDir(), "backup.db")
	if _, err := dbtest.Open(t, url).Exec(`VACUUM INTO ?`, backup); err != nil {
		t.Fatal(err)
	}
	refreshed = p.refresh(t, refreshed["refreshToken"])
	p.ask(t, `mutation { result: revokeSession { revoked } }`, revoked["accessToken"].(string))
	later := login()

	_ = p.cmd.Process.Kill()
	<-p.exited
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(path + suffix)
	}
	if err := os.Rename(backup, path); err != nil {
		t.Fatal(err)
	}
	p = start(t, url)
	want(t, "refreshed since", p.refresh(t, refreshed["refreshToken"])["endReason"], any("STORAGE_ROLLED_BACK"))
	want(t, "begun since", p.refresh(t, later["refreshToken"])["code"], any("INVALID_REFRESH_TOKEN"))
	unchanged = p.refresh(t, unchanged["refreshToken"])
	revoked = p.refresh(t, revoked["refreshToken"])
	want(t, "neither, and revoked since", unchanged["refreshToken"] != nil && revoked["refreshToken"] != nil, true)

	keys, err := command(t, url, "keys", "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range regexp.MustCompile(`(?m) (\S+)$`).FindAllStringSubmatch(strings.TrimSpace(string(keys)), -1) {
		if id[1] == "ID" {
			continue
		}
		if output, err := command(t, url, "keys", "revoke", id[1]).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	for _, tokens := range []map[string]any{unchanged, revoked} {
		want(t, "after the keys were revoked", p.refresh(t, tokens["refreshToken"])["code"], any("INVALID_REFRESH_TOKEN"))
	}
	want(t, "a new login", p.refresh(t, login()["refreshToken"])["refreshToken"] != nil, true)
}
