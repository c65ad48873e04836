package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// A MetadataCache keeps the metadata of issuers, one file for each, for
// grant.Client.MetadataCache. Its zero value is ready for use.
//
// Metadata are no secret. But they say where refresh tokens are sent to, so the
// files are for this user alone (0600 in 0700), and a file or directory that
// others can change, that belongs to somebody else, or that is a symbolic link is
// not used: its issuer is asked, as where there is no file. Names are hashes of
// issuers. A crash leaves the old entry, the new one, or one that nobody
// can read, which counts as none.
type MetadataCache struct {
	// Dir is the directory; empty means "oauth-login/metadata" in the user's cache
	// directory (os.UserCacheDir). It is made when it is missing.
	Dir string
}

var _ grant.MetadataCache = (*MetadataCache)(nil)

const (
	metadataCacheName = "cache of metadata"
	// metadataEntryMax bounds what is read of one file.
	metadataEntryMax = 3 << 20
	// metadataPatience is how long another process is waited for that writes: no
	// longer than the issuer is.
	metadataPatience = 50 * time.Millisecond
)

// LoadMetadata returns what was saved last for an issuer, nil for nothing.
func (m *MetadataCache) LoadMetadata(_ context.Context, issuer string) ([]byte, error) {
	path, err := m.path()
	if err != nil {
		return nil, err
	}
	d, err := openDirectory(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, explainFile(metadataCacheName, err)
	}
	defer d.close()
	if err := d.private(); err != nil {
		return nil, explainFile(metadataCacheName, err)
	}
	entry, err := d.read(metadataFile(issuer), metadataEntryMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entry, explainFile(metadataCacheName, err)
}

// SaveMetadata replaces what is kept for an issuer, or removes it: nil. While
// another process writes, it gives up soon.
func (m *MetadataCache) SaveMetadata(ctx context.Context, issuer string, entry []byte) error {
	name := metadataFile(issuer)
	if entry == nil {
		return m.change(ctx, openDirectory, func(d *directory) error { return d.remove(name) })
	}
	return m.change(ctx, createDirectory, func(d *directory) error { return d.replace(name, entry) })
}

// Clear removes everything.
func (m *MetadataCache) Clear(ctx context.Context) error {
	return m.change(ctx, openDirectory, func(d *directory) error {
		names, err := d.names()
		if err != nil {
			return err
		}
		for _, name := range names {
			if !strings.HasSuffix(name, metadataSuffix) {
				continue
			}
			if err := d.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
}

// change changes something in the directory. What is not there need not be removed.
func (m *MetadataCache) change(ctx context.Context, open func(string) (*directory, error), do func(*directory) error) error {
	path, err := m.path()
	if err != nil {
		return err
	}
	d, err := open(path)
	if err == nil {
		defer d.close()
		d.patience, d.volatile = metadataPatience, true
		if err = d.private(); err == nil {
			err = d.locked(ctx, func() error { return do(d) })
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return explainFile(metadataCacheName, err)
}

const metadataSuffix = ".json"

// metadataFile is the name of an issuer's file.
func metadataFile(issuer string) string {
	sum := sha256.Sum256([]byte("metadata\n" + issuer))
	return hex.EncodeToString(sum[:16]) + metadataSuffix
}

func (m *MetadataCache) path() (string, error) {
	if m.Dir != "" {
		return m.Dir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", &UnavailableError{Reason: Absent, Backend: metadataCacheName, Err: err}
	}
	return filepath.Join(cache, "oauth-login", "metadata"), nil
}
