package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

type vector struct {
	Name    string         `json:"name"`
	Kind    string         `json:"kind"`
	Fields  map[string]any `json:"fields"`
	Payload string         `json:"payload"`
	Frame   string         `json:"frame"`
	Bytes   string         `json:"bytes"`
	Stream  string         `json:"stream"`
}

func read(t testing.TB, name string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../../tests/vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	out, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// typed returns a field of a vector as this package has it.
func typed(t *testing.T, spec field, value any) any {
	t.Helper()
	switch spec.kind {
	case int32Field:
		return int32(value.(float64))
	case bytesField:
		return unhex(t, value.(map[string]any)["hex"].(string))
	case stringsField:
		out := []string{}
		for _, item := range value.([]any) {
			out = append(out, item.(string))
		}
		return out
	case byteStringsField:
		out := [][]byte{}
		for _, item := range value.([]any) {
			out = append(out, unhex(t, item.(map[string]any)["hex"].(string)))
		}
		return out
	case messageField:
		return fieldsOf(t, spec.message, value.(map[string]any))
	}
	return value
}

func fieldsOf(t *testing.T, kind string, given map[string]any) Fields {
	t.Helper()
	out := Fields{}
	for _, spec := range messages[kind] {
		if value, isThere := given[spec.name]; isThere && value != nil {
			out[spec.name] = typed(t, spec, value)
		}
	}
	if len(out) != len(given) {
		t.Fatalf("%s: not all of %v are known", kind, given)
	}
	return out
}

func TestMessagesAreWhatTheVectorsSay(t *testing.T) {
	var vectors struct{ Cases, DecodeOnly, Malformed []vector }
	var raw map[string]json.RawMessage
	read(t, "messages.json", &raw)
	for name, into := range map[string]*[]vector{"cases": &vectors.Cases, "decode_only": &vectors.DecodeOnly, "malformed": &vectors.Malformed} {
		if err := json.Unmarshal(raw[name], into); err != nil {
			t.Fatal(name, err)
		}
	}
	if len(vectors.Cases) == 0 || len(vectors.Malformed) == 0 || len(vectors.DecodeOnly) == 0 {
		t.Fatal("no cases")
	}
	for _, test := range vectors.Cases {
		payload, fields := unhex(t, test.Payload), fieldsOf(t, test.Kind, test.Fields)
		if got := Encode(Message{test.Kind, fields}); !bytes.Equal(got, payload) {
			t.Errorf("%s: %x instead of %s", test.Name, got, test.Payload)
		}
		check(t, test, payload, fields)
	}
	for _, test := range vectors.DecodeOnly {
		check(t, test, unhex(t, test.Payload), fieldsOf(t, test.Kind, test.Fields))
	}
	for _, test := range vectors.Malformed {
		if got, err := Decode(unhex(t, test.Payload)); err == nil {
			t.Errorf("%s: taken for %v", test.Name, got)
		}
	}
}

// check compares as readers see a message: a field that is not there has its default.
func check(t *testing.T, test vector, payload []byte, fields Fields) {
	t.Helper()
	got, err := Decode(payload)
	if err != nil || got.Kind != test.Kind {
		t.Errorf("%s: %v, %v", test.Name, got, err)
		return
	}
	for _, spec := range messages[test.Kind] {
		if !reflect.DeepEqual(withDefault(spec, got.Fields[spec.name]), withDefault(spec, fields[spec.name])) {
			t.Errorf("%s: %s is %v instead of %v", test.Name, spec.name, got.Fields[spec.name], fields[spec.name])
		}
	}
}

func withDefault(spec field, value any) any {
	if spec.union || value != nil && !reflect.ValueOf(value).IsZero() {
		if list := reflect.ValueOf(value); value != nil && list.Kind() == reflect.Slice && list.Len() == 0 {
			return nil
		}
		return value
	}
	return nil
}

func TestFramesAreWhatTheVectorsSay(t *testing.T) {
	var vectors struct {
		Headers []struct {
			Length int
			Header string
		}
		Frames        []vector
		LongerHeaders []vector `json:"longer_headers"`
	}
	read(t, "framing.json", &vectors)
	if len(vectors.Headers) == 0 || len(vectors.Frames) == 0 || len(vectors.LongerHeaders) == 0 {
		t.Fatal("no cases")
	}
	for _, test := range vectors.Headers {
		if got := header(test.Length); !bytes.Equal(got, unhex(t, test.Header)) {
			t.Errorf("%d: %x instead of %s", test.Length, got, test.Header)
		}
	}
	for _, test := range vectors.Frames {
		if got, err := Frame(unhex(t, test.Payload)); err != nil || !bytes.Equal(got, unhex(t, test.Frame)) {
			t.Errorf("%s: %x instead of %s", test.Name, got, test.Frame)
		}
	}
	for _, test := range append(vectors.Frames, vectors.LongerHeaders...) {
		stream := unhex(t, test.Frame)
		frames := Frames{}
		for index, one := range stream {
			frames.Feed([]byte{one})
			payload, isWhole, err := frames.Next()
			if err != nil || isWhole != (index == len(stream)-1) || isWhole && !bytes.Equal(payload, unhex(t, test.Payload)) {
				t.Errorf("%s: after %d bytes %x, %v, %v", test.Name, index+1, payload, isWhole, err)
			}
		}
	}
}

func TestFrameThatIsTooLongIsRefusedBeforeItCame(t *testing.T) {
	frames := Frames{}
	frames.Feed(header(MaxFrame + 1))
	if _, _, err := frames.Next(); err == nil {
		t.Error("taken")
	}
}

func FuzzDecodeAndFrames(f *testing.F) {
	f.Add([]byte{0xa2, 0x01, 0x00})
	f.Add([]byte{0x10, 0x5a, 0x02, 0x18, 0x03})
	f.Add([]byte{0x5b, 0x5b, 0x5b})
	f.Fuzz(func(t *testing.T, data []byte) {
		if message, err := Decode(data); err == nil && message.Kind != "" {
			again, err := Decode(Encode(message))
			if err != nil || again.Kind != message.Kind {
				t.Errorf("%v comes back as %v, %v", message, again, err)
			}
		}
		frames := Frames{}
		frames.Feed(data)
		for range len(data) + 1 {
			if _, isWhole, err := frames.Next(); !isWhole || err != nil {
				return
			}
		}
		t.Error("more frames than bytes")
	})
}
