package callback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"geomill/host/internal/job"
)

func TestASignatureHoldsForIDTimeAndBody(t *testing.T) {
	t.Parallel()
	key, err := ParseSecret("whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))
	if err != nil {
		t.Fatal(err)
	}
	v := receive(t, always(200))
	b := start(t, func(c *Config) { c.Secret = key })
	j := b.fail(t, v.URL)
	b.reaches(t, j.ID, job.Delivered)
	got := v.got()[0]
	verify := func(body string) bool {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(got.header.Get("webhook-id") + "." + got.header.Get("webhook-timestamp") + "." + body))
		version, text, _ := strings.Cut(got.header.Get("webhook-signature"), ",")
		signature, err := base64.StdEncoding.DecodeString(text)
		return version == "v1" && err == nil && hmac.Equal(signature, mac.Sum(nil))
	}
	if !verify(got.body) || verify(got.body+" ") {
		t.Errorf("signature %q of %q", got.header.Get("webhook-signature"), got.body)
	}
}

// The value was computed with OpenSSL: printf %s "$ID.$TIME.$BODY" | openssl dgst -sha256 -hmac KEY -binary | base64.
func TestSignIsTheConventionsSignature(t *testing.T) {
	t.Parallel()
	got := sign([]byte("0123456789abcdef01234567"), "m_1", "1700000000", []byte(`{"a":1}`))
	if want := "v1,O1ftqWnvN7mM+fObDtHwa9l3vpmPmEDFB44BNxUc/cE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseSecret(t *testing.T) {
	t.Parallel()
	encode := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for text, ok := range map[string]bool{
		encode(24): true, "whsec_" + encode(24): true, encode(64): true,
		encode(23): false, encode(65): false, "": false, "whsec_": false, "a password that is long enough": false,
	} {
		key, err := ParseSecret(text)
		if (err == nil) != ok || ok != (key != nil) {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && len(text) > 6 && strings.Contains(err.Error(), text) {
			t.Errorf("the error quotes the secret: %v", err)
		}
	}
}
