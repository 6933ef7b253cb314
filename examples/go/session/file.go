package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// File is a Store for programs that are started again and again, several at once too: a file that only its owner can
// read. Beside it there is an empty file for Lock.
type File struct{ Path string }

// errLocked says that somebody else has the lock.
var errLocked = errors.New("another program has the lock")

// lockedFor is how long it takes to see that a lock is free again, at most.
const lockedFor = 10 * time.Millisecond

func (f File) Lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(f.Path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := tryLock(lock) // held until the file is closed, by the end of the program too
		if err == nil {
			return func() { _ = lock.Close() }, nil
		}
		if !errors.Is(err, errLocked) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", lock.Name(), err), lock.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock %s: %w: %w", lock.Name(), errLocked, ctx.Err()), lock.Close())
		case <-time.After(lockedFor):
		}
	}
}

func (f File) Load() (Tokens, error) {
	info, err := os.Stat(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Tokens{}, ErrSignedOut
	}
	if err != nil {
		return Tokens{}, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" { // which has no such bits
		return Tokens{}, fmt.Errorf("%s can be read by others (mode %04o): chmod 600 it", f.Path, mode)
	}
	text, err := os.ReadFile(f.Path)
	if err != nil {
		return Tokens{}, err
	}
	var tokens Tokens
	if err := json.Unmarshal(text, &tokens); err != nil {
		return Tokens{}, fmt.Errorf("%s is not a session: %w", f.Path, err)
	}
	return tokens, nil
}

func (f File) Save(tokens Tokens) error {
	text, err := json.MarshalIndent(tokens, "", "  ")
	if err != nil {
		return err
	}
	folder := filepath.Dir(f.Path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	// The whole old file or the whole new one is there, whatever happens: it is written under another name.
	temporary, err := os.CreateTemp(folder, ".session-*") // with the mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }() // where it did not get its name
	_, err = temporary.Write(append(text, '\n'))
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary.Name(), f.Path); err != nil {
		return err
	}
	return syncFolder(folder)
}

func (f File) Delete() error {
	if err := os.Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
