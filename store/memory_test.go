package store_test

import (
	"errors"
	"testing"

	"github.com/oauth-login/oauth-login/store"
)

func TestMemory(t *testing.T) {
	var m store.Memory
	ctx := t.Context()
	if _, err := m.Load(ctx, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Load of nothing: %v", err)
	}
	if err := m.Delete(ctx, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Delete of nothing: %v", err)
	}
	record := []byte("one")
	if err := m.Save(ctx, "a", record); err != nil {
		t.Fatal(err)
	}
	record[0] = 'x'
	got, err := m.Load(ctx, "a")
	if err != nil || string(got) != "one" {
		t.Errorf("Load: %q, %v", got, err)
	}
	got[0] = 'x'
	if got, _ := m.Load(ctx, "a"); string(got) != "one" {
		t.Errorf("Load gave away its memory: %q", got)
	}
	if err := m.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Load(ctx, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Load after Delete: %v", err)
	}
}
