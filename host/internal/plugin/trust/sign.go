package trust

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"aead.dev/minisign"
)

// Files beside a plugin that say who vouches for it.
const (
	SignatureSuffix = ".minisig"   // of the name of a file that signs the one without it
	SumsFile        = "SHA256SUMS" // hashes, as sha256sum writes them
)

const (
	sumsBytes      = 1 << 20 // largest SumsFile that is read
	signatureBytes = 16 << 10
	keyBytes       = 64 << 10
)

// Keys are the public minisign keys whose signatures count.
type Keys []minisign.PublicKey

// ParseKeys reads public keys: each text is a key in base64, or the name of a
// file that holds some, one a line, as "minisign -G" writes them.
func ParseKeys(texts []string) (Keys, error) {
	var keys Keys
	for _, text := range texts {
		var key minisign.PublicKey
		if key.UnmarshalText([]byte(strings.TrimSpace(text))) == nil {
			keys = append(keys, key)
			continue
		}
		content, err := readSmall(text, keyBytes)
		if err != nil {
			return nil, fmt.Errorf("%q is neither a public key of minisign nor a file that can be read: %w", text, err)
		}
		more, err := parseKeyFile(content)
		if err != nil {
			return nil, fmt.Errorf("key file %s: %w", text, err)
		}
		keys = append(keys, more...)
	}
	return keys, nil
}

// parseKeyFile reads one key a line. Comments and empty lines do not count.
func parseKeyFile(content []byte) (keys Keys, err error) {
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "untrusted comment:") {
			continue
		}
		var key minisign.PublicKey
		if err := key.UnmarshalText([]byte(line)); err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("holds no public key")
	}
	return keys, nil
}

func (k Keys) has(key string) bool {
	for _, known := range k {
		if known.String() == key {
			return true
		}
	}
	return false
}

// verify looks for a signature of the content beside its file, and returns the
// key that made it. The signature is either of the file itself, or of a
// SHA256SUMS that lists it.
func (k Keys) verify(c Content) (key string, err error) {
	if len(c.Files) > 0 {
		return k.verifyAll(c.Files)
	}
	signature, err := readSmall(c.Path+SignatureSuffix, signatureBytes)
	if err == nil {
		return k.verifyBytes(c.Path+SignatureSuffix, signature, c.Bytes())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	sums := filepath.Join(filepath.Dir(c.Path), SumsFile)
	signature, err = readSmall(sums+SignatureSuffix, signatureBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("it has no signature %s", c.Path+SignatureSuffix)
	}
	if err != nil {
		return "", err
	}
	list, err := readSmall(sums, sumsBytes)
	if err != nil {
		return "", err
	}
	if key, err = k.verifyBytes(sums+SignatureSuffix, signature, bytes.NewReader(list)); err != nil {
		return "", err
	}
	return key, listed(list, filepath.Base(c.Path), c.Hash)
}

// verifyAll looks for signatures of several files by one key: the one to take
// back when they are no longer to count.
func (k Keys) verifyAll(files []Content) (key string, err error) {
	for _, file := range files {
		name := filepath.Base(file.Path)
		by, err := k.verify(file)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		if key != "" && by != key {
			return "", fmt.Errorf("%s is signed with the key %s, and %s with %s: sign all files with one key", filepath.Base(files[0].Path), key, name, by)
		}
		key = by
	}
	return key, nil
}

// verifyBytes checks a signature that the file called name holds.
func (k Keys) verifyBytes(name string, text []byte, content io.Reader) (string, error) {
	var s minisign.Signature
	if err := s.UnmarshalText(text); err != nil {
		return "", fmt.Errorf("%s is no signature of minisign", name)
	}
	if s.Algorithm != minisign.HashEdDSA {
		return "", fmt.Errorf("%s is a signature in the old format: sign with minisign -S -H", name)
	}
	r := minisign.NewReader(content)
	if _, err := io.Copy(io.Discard, r); err != nil {
		return "", fmt.Errorf("read what %s signs: %w", name, err)
	}
	known := false
	for _, key := range k {
		if r.Verify(key, text) {
			return key.String(), nil
		}
		known = known || key.ID() == s.KeyID
	}
	if !known {
		return "", fmt.Errorf("%s is by the key %016X, which is not among trust-keys", name, s.KeyID)
	}
	return "", fmt.Errorf("%s does not fit the content", name)
}

// listed fails unless a list as sha256sum writes it has the file with the hash.
func listed(list []byte, file, hash string) error {
	lines := bufio.NewScanner(bytes.NewReader(list))
	for lines.Scan() {
		sum, name, ok := strings.Cut(lines.Text(), " ")
		name = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(name, " "), "*"), "./")
		if !ok || name != file {
			continue
		}
		if !strings.EqualFold(sum, hash) {
			return fmt.Errorf("%s has another hash for %s: %s", SumsFile, file, short(sum))
		}
		return nil
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read %s: %w", SumsFile, err)
	}
	return fmt.Errorf("%s does not list %s", SumsFile, file)
}

// readSmall reads a file that must not be larger than most bytes.
func readSmall(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would block
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", path, most)
	}
	return text, err
}
