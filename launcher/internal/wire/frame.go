// Package wire is RustDesk's rendezvous protocol: frames of TCP, and the messages in them.
//
// Written from hbb_common protos/rendezvous.proto and src/bytes_codec.rs; tests/vectors holds it to the same examples as
// plugins/module_utils/rendezvous.py.
package wire

import (
	"errors"

	"rustdesk-launcher/internal/say"
)

// MaxFrame is the largest payload in bytes that is accepted.
const MaxFrame = 64 * 1024

const maxPayload = 1<<30 - 1

// ErrTooLong is a payload that no frame can carry.
var ErrTooLong = errors.New("a frame carries at most 1073741823 bytes")

// header returns what stands before a payload: a little-endian number of 1 to 4 bytes, length << 2 | bytes - 1.
func header(length int) []byte {
	size := 1
	for _, most := range []int{0x3f, 0x3fff, 0x3fffff} {
		if length > most {
			size++
		}
	}
	value := length<<2 | (size - 1)
	out := make([]byte, size)
	for index := range out {
		out[index] = byte(value >> (8 * index))
	}
	return out
}

// Frame puts the header before a payload.
func Frame(payload []byte) ([]byte, error) {
	if len(payload) > maxPayload {
		return nil, ErrTooLong
	}
	return append(header(len(payload)), payload...), nil
}

// Frames cuts a stream of bytes into payloads, however the stream was split.
type Frames struct{ pending []byte }

// Feed takes the next bytes of the stream.
func (f *Frames) Feed(data []byte) { f.pending = append(f.pending, data...) }

// Next returns the next payload; ok is false until more bytes are fed.
func (f *Frames) Next() (payload []byte, ok bool, err error) {
	if len(f.pending) == 0 {
		return nil, false, nil
	}
	size := int(f.pending[0]&3) + 1
	if len(f.pending) < size {
		return nil, false, nil
	}
	length := 0
	for index := range size {
		length |= int(f.pending[index]) << (8 * index)
	}
	length >>= 2
	if length > MaxFrame {
		return nil, false, say.Errorf("a frame of %d bytes is announced, at most %d accepted", length, MaxFrame)
	}
	if len(f.pending) < size+length {
		return nil, false, nil
	}
	payload = append([]byte{}, f.pending[size:size+length]...)
	f.pending = f.pending[size+length:]
	return payload, true, nil
}
