package api

import (
	"mime"
	"strings"

	"geomill/host/internal/job"
)

const mediaBytes = "application/octet-stream"

// headerType returns the media type of a value in a form that is fit for any
// header. What a plugin calls its type must not become another header; what is
// no media type at all becomes that of mere bytes.
func headerType(v job.Value) string {
	t := v.Type()
	if t == mediaJSON || isPlainType(t) {
		return t
	}
	name, params, err := mime.ParseMediaType(t)
	if err == nil && isPlainType(name) {
		// A tab within quotes survives the two.
		if t = mime.FormatMediaType(name, params); t != "" && !strings.Contains(t, "\t") {
			return t
		}
	}
	return mediaBytes
}

// isPlainType reports whether t is a media type without parameters.
func isPlainType(t string) bool {
	main, sub, ok := strings.Cut(t, "/")
	return ok && isToken(main) && isToken(sub)
}

// quoteParameter makes a quoted string of text without control characters
// (RFC 9110, section 5.6.4).
func quoteParameter(s string) string {
	if strings.ContainsAny(s, `"\`) {
		s = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
	}
	return `"` + s + `"`
}

// disposition returns the Content-Disposition of an output, or "" for what
// browsers show best without one: JSON and plain text. Pictures are shown but
// have a name; everything else is saved, HTML too, since a process may put
// anything into it.
func disposition(name, mediaType string) string {
	main, sub := splitType(mediaType)
	mediaType = strings.ToLower(main + "/" + sub)
	if isJSON(mediaType) || mediaType == mediaText {
		return ""
	}
	way := "attachment"
	switch mediaType {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf":
		way = "inline"
	}
	return way + `; filename="` + fileName(name) + extension(mediaType) + `"`
}

// fileName keeps what is harmless in the name of a file everywhere.
func fileName(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
			return c
		}
		return '_'
	}, s)
}

// extension returns what files of a media type, in lower case, are called.
func extension(mediaType string) string {
	switch mediaType {
	case "image/tiff":
		return ".tif"
	case "image/jpeg":
		return ".jpg"
	case "image/png", "image/gif", "image/webp", "application/pdf", "application/zip", "text/csv", "text/html", "text/xml", "application/xml":
		return "." + mediaType[strings.IndexByte(mediaType, '/')+1:]
	case "image/svg+xml":
		return ".svg"
	case "image/jp2":
		return ".jp2"
	case "application/gml+xml":
		return ".gml"
	case "application/vnd.google-earth.kml+xml":
		return ".kml"
	case "application/geopackage+sqlite3":
		return ".gpkg"
	case "application/netcdf", "application/x-netcdf":
		return ".nc"
	case "application/vnd.apache.parquet":
		return ".parquet"
	case "application/gzip":
		return ".gz"
	}
	switch {
	case strings.HasSuffix(mediaType, "+xml"):
		return ".xml"
	case strings.HasPrefix(mediaType, "text/"):
		return ".txt"
	}
	return ".bin"
}
