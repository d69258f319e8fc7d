package job

import (
	"mime"
	"strings"
)

// essence is a media type in lower case, without parameters.
func essence(media string) string {
	media, _, _ = strings.Cut(media, ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// IsJSON reports whether values of a media type are JSON text: application/json
// or a type with the suffix +json (RFC 6839, section 3.1).
func IsJSON(mediaType string) bool {
	kind := essence(mediaType)
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}

// CanonicalType returns a media type in a form that can be compared: without
// regard to case and blanks, and without the charset that everything here has.
func CanonicalType(mediaType string) string {
	name, params, err := mime.ParseMediaType(mediaType)
	if err != nil {
		return essence(mediaType)
	}
	if strings.EqualFold(params["charset"], "utf-8") {
		delete(params, "charset")
	}
	return mime.FormatMediaType(name, params)
}
