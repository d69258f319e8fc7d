package callback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"geomill/host/internal/job"
)

// messageID tells receivers which messages are the same (Standard Webhooks,
// webhook-id). A job ends once, so how it ended has one name for all tries;
// each report of its progress is a message of its own.
func messageID(d job.Delivery) string {
	id := d.JobID + "_" + string(d.Event)
	if d.Event == job.InProgress {
		id += "_" + strconv.FormatInt(d.Last.UnixNano(), 10)
	}
	return id
}

// sign returns the signature of a message (Standard Webhooks,
// webhook-signature).
func sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Lengths of a key in bytes, as Standard Webhooks has them.
const (
	shortestKey = 24
	longestKey  = 64
)

// ParseSecret reads the key of signatures as Standard Webhooks writes it:
// base64, with or without "whsec_" before it. Its errors do not quote it.
func ParseSecret(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
	if err != nil || len(key) < shortestKey || len(key) > longestKey {
		return nil, errors.New("is not 24 to 64 bytes in base64")
	}
	return key, nil
}
