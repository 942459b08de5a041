package provenance

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"time"

	"switchyard/policy/stablefile"
	"switchyard/policy/statefolder"
)

// stable is how long a signature file must be unchanged before it is read. The file is small,
// so a program that writes it needs less than that; the policy's own file is waited for longer.
const stable = 10 * time.Millisecond

// SignatureFile returns the path of the signature file of a policy's file.
func SignatureFile(policy string) string { return policy + ".sig" }

// ReadSignature returns the content of a signature file, or nil if there is none. A dangling
// link is an error.
func ReadSignature(path string) ([]byte, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	text, err := stablefile.Read(path, stable, MaxSize)
	if err != nil {
		return nil, err
	}
	return append([]byte{}, text...), nil // also of an empty file, not nil
}

// ReadKeys reads files of public keys, each of up to 64 KiB and with any number of keys. It does
// not wait until they are stable: of a file that is being written, keys may be missing, or the
// last one is an error. Either refuses policies that would pass later, and admits none.
func ReadKeys(paths ...string) ([]Key, error) {
	var keys []Key
	for _, path := range paths {
		text, _, err := readRegular(path, maxKeyFile)
		if err != nil {
			return nil, fmt.Errorf("public keys: %w", err)
		}
		more, err := ParseKeys(text)
		if err != nil {
			return nil, fmt.Errorf("public keys: %s: %w", path, err)
		}
		keys = append(keys, more...)
	}
	return keys, nil
}

// ReadSigner reads the file of a private key. Only its owner may have the right to read it.
func ReadSigner(path string) (*Signer, error) {
	text, info, err := readRegular(path, maxKeyFile)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("private key: others than its owner may use %s, which has mode %04o; write chmod 600 %s, and make another key if they are not trusted",
			path, mode, path)
	}
	s, err := ParseSigner(text)
	if err != nil {
		return nil, fmt.Errorf("private key: %s: %w", path, err)
	}
	return s, nil
}

// readRegular reads a regular file of at most max bytes, whether it is stable or not.
func readRegular(path string, max int64) ([]byte, fs.FileInfo, error) {
	f, info, err := stablefile.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(text)) > max {
		err = fmt.Errorf("%s is larger than %d bytes", path, max)
	}
	return text, info, err
}

// WriteNewKey makes a key. It writes the private key to a new file at path, readable only by
// its owner, and the public key to path.pub. It overwrites nothing. If it fails, it leaves
// no file behind.
func WriteNewKey(path string) (id string, err error) {
	private, public, id, err := Generate()
	if err != nil {
		return "", err
	}
	if err := statefolder.WriteNew(path, private, 0o600); err != nil {
		return "", err
	}
	if err := statefolder.WriteNew(path+".pub", public, 0o644); err != nil {
		return "", errors.Join(err, os.Remove(path))
	}
	return id, nil
}
