package job

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWhatIsNoMediaTypeIsRefused(t *testing.T) {
	t.Parallel()
	for _, media := range []string{"image/png\r\nX-Evil: 1", "image/png\nSet-Cookie: a=b", `"><script>`, "png", "image/*", "é/ü", "image/" + strings.Repeat("a", 300)} {
		quoted, err := json.Marshal(media)
		if err != nil {
			t.Fatal(err)
		}
		for _, member := range []string{`"mediaType":` + string(quoted), `"format":{"mediaType":` + string(quoted) + `}`} {
			_, faults := take(t, `{"name":"x","bytes":{"value":"aGk=",`+member+`}}`)
			if len(faults) != 1 || faults[0].Input != "bytes" || faults[0].Message != "is not a media type" {
				t.Errorf("%q: %v", media, faults)
			}
		}
	}
}
