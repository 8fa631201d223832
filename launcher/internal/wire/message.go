package wire

import (
	"math"
	"unicode/utf8"

	"rustdesk-launcher/internal/say"
)

const (
	varint          = 0
	fixed64         = 1
	lengthDelimited = 2
	fixed32         = 5
)

// Fields of a message by their names: int32, bool, string, []byte, []string, [][]byte or Fields. What is not there has its
// default.
type Fields map[string]any

// Message is what a RendezvousMessage carries; an empty Kind stands for nothing that is known.
type Message struct {
	Kind   string
	Fields Fields
}

// Number returns a number of the message, 0 where it is not there.
func (m Message) Number(name string) int32 { found, _ := m.Fields[name].(int32); return found }

// Text returns a text of the message.
func (m Message) Text(name string) string { found, _ := m.Fields[name].(string); return found }

// Bytes returns bytes of the message.
func (m Message) Bytes(name string) []byte { found, _ := m.Fields[name].([]byte); return found }

// Flag returns a truth value of the message.
func (m Message) Flag(name string) bool { found, _ := m.Fields[name].(bool); return found }

// Encode returns a message as the RendezvousMessage that carries it. Its fields have the types that its kind has.
func Encode(message Message) []byte {
	return delimited(nil, numbers[message.Kind], encodeFields(messages[message.Kind], message.Fields))
}

func encodeFields(specs []field, fields Fields) []byte {
	var out []byte
	for _, spec := range specs {
		value, isThere := fields[spec.name]
		if !isThere || value == nil {
			continue
		}
		switch found := value.(type) {
		case int32:
			if found != 0 || spec.union {
				// A negative number travels as its 64-bit two's complement.
				out = appendVarint(appendTag(out, spec.number, varint), uint64(int64(found)))
			}
		case bool:
			if found || spec.union {
				number := map[bool]uint64{true: 1}[found]
				out = appendVarint(appendTag(out, spec.number, varint), number)
			}
		case string:
			if found != "" || spec.union {
				out = delimited(out, spec.number, []byte(found))
			}
		case []byte:
			if len(found) > 0 || spec.union {
				out = delimited(out, spec.number, found)
			}
		case []string:
			for _, item := range found {
				out = delimited(out, spec.number, []byte(item))
			}
		case [][]byte:
			for _, item := range found {
				out = delimited(out, spec.number, item)
			}
		case Fields:
			out = delimited(out, spec.number, encodeFields(messages[spec.message], found))
		}
	}
	return out
}

func appendVarint(out []byte, value uint64) []byte {
	for value > 0x7f {
		out = append(out, byte(value)|0x80)
		value >>= 7
	}
	return append(out, byte(value))
}

func appendTag(out []byte, number int, wireType uint64) []byte {
	return appendVarint(out, uint64(number)<<3|wireType)
}

func delimited(out []byte, number int, content []byte) []byte {
	out = appendTag(out, number, lengthDelimited)
	return append(appendVarint(out, uint64(len(content))), content...)
}

// Decode reads a RendezvousMessage. Fields that are not known, or have another type than they should, are skipped.
func Decode(data []byte) (Message, error) {
	var found Message
	err := eachField(data, func(number int, wireType uint64, _ uint64, content []byte) error {
		kind, isKnown := kinds[number]
		if !isKnown || wireType != lengthDelimited {
			return nil
		}
		fields, err := decodeFields(messages[kind], content)
		if err != nil {
			return err
		}
		// Of several the last one counts, as for every union of protobuf.
		found = Message{kind, fields}
		return nil
	})
	if err != nil {
		return Message{}, err
	}
	return found, nil
}

func merged(old, new any) any {
	switch found := new.(type) {
	case []string:
		before, _ := old.([]string)
		return append(before, found...)
	case [][]byte:
		before, _ := old.([][]byte)
		return append(before, found...)
	}
	return new
}

func decodeFields(specs []field, data []byte) (Fields, error) {
	out := Fields{}
	member := ""
	err := eachField(data, func(number int, wireType, value uint64, content []byte) error {
		for _, spec := range specs {
			if spec.number != number || spec.wireType() != wireType {
				continue
			}
			decoded, err := decodeValue(spec, value, content)
			if err != nil {
				return err
			}
			if spec.union {
				delete(out, member)
				member = spec.name
			}
			out[spec.name] = merged(out[spec.name], decoded)
		}
		return nil
	})
	return out, err
}

func decodeValue(spec field, value uint64, content []byte) (any, error) {
	switch spec.kind {
	case int32Field:
		return int32(uint32(value)), nil
	case boolField:
		return value != 0, nil
	case stringField, stringsField:
		if !utf8.Valid(content) {
			return nil, say.Errorf("%s is not UTF-8", spec.name)
		}
		if spec.kind == stringsField {
			return []string{string(content)}, nil
		}
		return string(content), nil
	case bytesField:
		return content, nil
	case byteStringsField:
		return [][]byte{content}, nil
	}
	return decodeFields(messages[spec.message], content)
}

// eachField calls with the number, the wire type and the value or content of every field, known or not.
func eachField(data []byte, take func(number int, wireType, value uint64, content []byte) error) error {
	for len(data) > 0 {
		tag, rest, err := readVarint(data)
		if err != nil {
			return err
		}
		number, wireType := tag>>3, tag&7
		if number == 0 || tag > math.MaxUint32 {
			return say.Errorf("a field number is out of range")
		}
		var value, length uint64
		switch wireType {
		case varint:
			value, rest, err = readVarint(rest)
		case lengthDelimited:
			length, rest, err = readVarint(rest)
		case fixed32:
			length = 4
		case fixed64:
			length = 8
		default:
			// Groups: proto3 has none, and skipping them is what exhausts parsers' stacks.
			return say.Errorf("wire type %d does not occur in this protocol", wireType)
		}
		if err != nil {
			return err
		}
		if length > uint64(len(rest)) {
			return say.Errorf("a field is cut off")
		}
		if err := take(int(number), wireType, value, rest[:length:length]); err != nil {
			return err
		}
		data = rest[length:]
	}
	return nil
}

func readVarint(data []byte) (value uint64, rest []byte, err error) {
	for index := range 10 {
		if index >= len(data) {
			return 0, nil, say.Errorf("a number is cut off")
		}
		c := data[index]
		if index == 9 && c > 1 {
			break
		}
		value |= uint64(c&0x7f) << (7 * index)
		if c < 0x80 {
			return value, data[index+1:], nil
		}
	}
	return 0, nil, say.Errorf("a number is longer than 64 bits")
}
