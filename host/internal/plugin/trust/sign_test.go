package trust

import (
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
)

type signer struct {
	public  minisign.PublicKey
	private minisign.PrivateKey
}

func newSigner(t *testing.T) signer {
	t.Helper()
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{public, private}
}

// sign signs as minisign does today: over a hash of the content.
func (s signer) sign(content string) string {
	r := minisign.NewReader(strings.NewReader(content))
	if _, err := io.Copy(io.Discard, r); err != nil {
		panic(err)
	}
	return string(r.Sign(s.private))
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSignaturesAreOfTheFileOrOfAListOfHashes(t *testing.T) {
	t.Parallel()
	friend, stranger := newSigner(t), newSigner(t)
	sums := hashOf("content") + "  plugin\n" + hashOf("other") + " *readme\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string // contained in the refusal; empty: it runs
	}{
		"none":                   {nil, "has no signature"},
		"of the file":            {map[string]string{"plugin.minisig": friend.sign("content")}, ""},
		"of another content":     {map[string]string{"plugin.minisig": friend.sign("contents")}, "does not fit the content"},
		"of a stranger":          {map[string]string{"plugin.minisig": stranger.sign("content")}, "not among trust-keys"},
		"that is none":           {map[string]string{"plugin.minisig": "trust me"}, "is no signature"},
		"a list":                 {map[string]string{"SHA256SUMS": sums, "SHA256SUMS.minisig": friend.sign(sums)}, ""},
		"a list with a dot":      {map[string]string{"SHA256SUMS": hashOf("content") + " *./plugin", "SHA256SUMS.minisig": friend.sign(hashOf("content") + " *./plugin")}, ""},
		"a list that changed":    {map[string]string{"SHA256SUMS": sums + "\n", "SHA256SUMS.minisig": friend.sign(sums)}, "does not fit"},
		"a list without it":      {map[string]string{"SHA256SUMS": "", "SHA256SUMS.minisig": friend.sign("")}, "does not list plugin"},
		"a list of another":      {map[string]string{"SHA256SUMS": hashOf("x") + "  plugin", "SHA256SUMS.minisig": friend.sign(hashOf("x") + "  plugin")}, "another hash for plugin"},
		"a list not signed":      {map[string]string{"SHA256SUMS": sums}, "has no signature"},
		"the file's comes first": {map[string]string{"plugin.minisig": stranger.sign("content"), "SHA256SUMS": sums, "SHA256SUMS.minisig": friend.sign(sums)}, "not among"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, text := range c.files {
				write(t, dir, file, text)
			}
			content := Content{Plugin: "p", Path: filepath.Join(dir, "plugin"), Hash: hashOf("content"),
				Bytes: func() io.Reader { return strings.NewReader("content") }}
			l, err := Open("")
			if err != nil {
				t.Fatal(err)
			}
			pin, err := l.Judge(Signed, Keys{newSigner(t).public, friend.public}, content, at(1))
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if err == nil && (pin.How != Signature || pin.Key != friend.public.String()) {
				t.Errorf("%+v", pin)
			}
		})
	}
}

func TestASignatureCountsAsLongAsItsKeyDoes(t *testing.T) {
	t.Parallel()
	friend := newSigner(t)
	dir := t.TempDir()
	write(t, dir, "plugin.minisig", friend.sign("content"))
	content := Content{Plugin: "p", Path: filepath.Join(dir, "plugin"), Hash: hashOf("content"),
		Bytes: func() io.Reader { return strings.NewReader("content") }}
	l, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	pin, err := l.Judge(Signed, Keys{friend.public}, content, at(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Record("p", pin); err != nil {
		t.Fatal(err)
	}
	content.Bytes = nil // it is not read again
	if _, err := l.Judge(Signed, Keys{friend.public}, content, at(2)); err != nil {
		t.Error(err)
	}
	content.Bytes = func() io.Reader { return strings.NewReader("content") }
	if _, err := l.Judge(Signed, nil, content, at(3)); err == nil {
		t.Error("accepted without a key")
	}
}

func TestKeysAreGivenAsTextOrInFiles(t *testing.T) {
	t.Parallel()
	one, two := newSigner(t).public, newSigner(t).public
	dir := t.TempDir()
	write(t, dir, "keys", "untrusted comment: minisign public key\n"+one.String()+"\n\n# the other\n"+two.String()+"\n")
	write(t, dir, "empty", "\n")
	write(t, dir, "broken", "RWnothing")
	keys, err := ParseKeys([]string{two.String(), filepath.Join(dir, "keys")})
	if err != nil || len(keys) != 3 || !keys[0].Equal(two) || !keys[1].Equal(one) || !keys[2].Equal(two) {
		t.Errorf("%v, %v", keys, err)
	}
	for _, bad := range []string{"", "nothing", dir, filepath.Join(dir, "empty"), filepath.Join(dir, "broken"), one.String()[1:]} {
		if _, err := ParseKeys([]string{bad}); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}

func FuzzSignature(f *testing.F) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	r := minisign.NewReader(strings.NewReader("content"))
	if _, err := io.Copy(io.Discard, r); err != nil {
		f.Fatal(err)
	}
	good := string(r.Sign(private))
	f.Add(good)
	f.Add("untrusted comment: x\n")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := Keys{public}.verifyBytes("s", []byte(text), strings.NewReader("contents"))
		if err == nil {
			t.Errorf("accepted for %s: %q", key, text)
		}
	})
}

func TestOfSeveralFilesEachIsSigned(t *testing.T) {
	t.Parallel()
	friend, other := newSigner(t), newSigner(t)
	sums := hashOf("manifest") + "  tools.yaml\n" + hashOf("tool") + "  tools\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"each":             {map[string]string{"tools.yaml.minisig": friend.sign("manifest"), "tools.minisig": friend.sign("tool")}, ""},
		"a list":           {map[string]string{"SHA256SUMS": sums, "SHA256SUMS.minisig": friend.sign(sums)}, ""},
		"one and a list":   {map[string]string{"tools.minisig": friend.sign("tool"), "SHA256SUMS": sums, "SHA256SUMS.minisig": friend.sign(sums)}, ""},
		"only the first":   {map[string]string{"tools.yaml.minisig": friend.sign("manifest")}, "tools: it has no signature"},
		"only the second":  {map[string]string{"tools.minisig": friend.sign("tool")}, "tools.yaml: it has no signature"},
		"of another tool":  {map[string]string{"tools.yaml.minisig": friend.sign("manifest"), "tools.minisig": friend.sign("other")}, "tools: "},
		"by two keys":      {map[string]string{"tools.yaml.minisig": other.sign("manifest"), "tools.minisig": friend.sign("tool")}, "tools.yaml is signed with the key " + other.public.String() + ", and tools with " + friend.public.String()},
		"a list by two":    {map[string]string{"tools.yaml.minisig": friend.sign("manifest"), "SHA256SUMS": sums, "SHA256SUMS.minisig": other.sign(sums)}, "sign all files with one key"},
		"of all as a file": {map[string]string{"tools.yaml.minisig": friend.sign(sums)}, "does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, text := range c.files {
				write(t, dir, file, text)
			}
			of := func(file, content string) Content {
				return Content{Path: filepath.Join(dir, file), Hash: hashOf(content), Bytes: func() io.Reader { return strings.NewReader(content) }}
			}
			content := Content{Plugin: "tools.yaml", Path: filepath.Join(dir, "tools.yaml"), Hash: hashOf(sums),
				Files: []Content{of("tools.yaml", "manifest"), of("tools", "tool")}}
			_, err := Keys{friend.public, other.public}.verify(content)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
