package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// A refusal is what the server said last of a refresh token that is of no more use.
// Many may wait for the lock to send the same one: they share the answer, instead
// of sending it one after the other, which to a server looks like a theft. Who
// comes later asks the server again.
//
// Other processes find it in a file beside that of the lock, which says which
// refresh token and when, and is read and written under the lock alone.
type refusal struct {
	token string // a hash
	at    time.Time
	err   error // nil for one of another process
}

const refusalExtension = ".refused"

// errRefusedElsewhere is for a process that has waited.
var errRefusedElsewhere = errors.New("the provider has just refused the refresh token, which another process has sent")

// refusedMeanwhile returns the error of a refresh that others have tried in vain
// since began, with the refresh token of a record. The caller holds the lock.
func (s *Source) refusedMeanwhile(began time.Time, record *Record) error {
	token := hashOf(record.Token.RefreshToken)
	s.mu.Lock()
	last := s.refusal
	s.mu.Unlock()
	if last.covers(token, began) {
		return last.err
	}
	if files, err := s.fileLocks(); err == nil && files.refusal(s.key()).covers(token, began) {
		return loginRequired(errRefusedElsewhere)
	}
	return nil
}

func (r *refusal) covers(token string, began time.Time) bool {
	return r != nil && r.token == token && r.at.After(began) && !r.at.After(time.Now()) // the clock may have been set back
}

// noteRefusal tells those who wait. The caller holds the lock.
func (s *Source) noteRefusal(spent grant.Secret, err error) {
	last := &refusal{hashOf(spent), time.Now(), err}
	s.mu.Lock()
	s.refusal = last
	s.mu.Unlock()
	if files, err := s.fileLocks(); err == nil {
		files.noteRefusal(s.key(), last) // without it, each of them asks the server
	}
}

// forgetRefusal leaves nothing of a login that is deleted.
func (s *Source) forgetRefusal() {
	if files, err := s.fileLocks(); err == nil {
		os.Remove(files.refusalFile(s.key()))
	}
}

func hashOf(token grant.Secret) string {
	sum := sha256.Sum256([]byte("oauth-login/1\nrefused\n" + token))
	return hex.EncodeToString(sum[:16])
}

func (l fileLocks) refusalFile(name string) string {
	dir, err := l.place()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, name+refusalExtension)
}

// refusal reads what noteRefusal has written, nil for nothing of that kind.
func (l fileLocks) refusal(name string) *refusal {
	file, err := os.Open(l.refusalFile(name))
	if err != nil {
		return nil
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 256))
	if err != nil {
		return nil
	}
	token, when, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	at, err := strconv.ParseInt(when, 10, 64)
	if err != nil {
		return nil
	}
	return &refusal{token: token, at: time.Unix(0, at)}
}

func (l fileLocks) noteRefusal(name string, r *refusal) {
	_ = os.WriteFile(l.refusalFile(name), fmt.Appendf(nil, "%s %d\n", r.token, r.at.UnixNano()), 0o600)
}
