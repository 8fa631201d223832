package wire

// Kinds of messages, as hbb_common protos/rendezvous.proto names them.
const (
	RegisterPeer         = "RegisterPeer"
	RegisterPeerResponse = "RegisterPeerResponse"
	PunchHoleRequest     = "PunchHoleRequest"
	PunchHoleResponse    = "PunchHoleResponse"
	RequestRelay         = "RequestRelay"
	TestNatRequest       = "TestNatRequest"
	TestNatResponse      = "TestNatResponse"
)

// Values of PunchHoleResponse's failure.
const (
	IDNotExist      = 0
	Offline         = 2
	LicenseMismatch = 3
	LicenseOveruse  = 4
)

// FailureNames are the names of those values.
var FailureNames = map[int32]string{
	IDNotExist: "ID_NOT_EXIST", Offline: "OFFLINE", LicenseMismatch: "LICENSE_MISMATCH", LicenseOveruse: "LICENSE_OVERUSE",
}

type fieldKind int

const (
	int32Field fieldKind = iota
	boolField
	stringField
	bytesField
	stringsField
	byteStringsField
	messageField
)

type field struct {
	number int
	name   string
	kind   fieldKind
	// union tells a member of the union inside a message: a default value is sent, and only one member is there.
	union   bool
	message string
}

func (f field) wireType() uint64 {
	if f.kind == int32Field || f.kind == boolField {
		return varint
	}
	return lengthDelimited
}

// messages are the fields of every kind in the order of their numbers.
var messages = map[string][]field{
	RegisterPeer:         {{number: 1, name: "id", kind: stringField}, {number: 2, name: "serial"}},
	RegisterPeerResponse: {{number: 2, name: "request_pk", kind: boolField}},
	PunchHoleRequest: {
		{number: 1, name: "id", kind: stringField}, {number: 2, name: "nat_type"},
		{number: 3, name: "licence_key", kind: stringField}, {number: 4, name: "conn_type"},
		{number: 5, name: "token", kind: stringField}, {number: 6, name: "version", kind: stringField},
		{number: 7, name: "udp_port"}, {number: 8, name: "force_relay", kind: boolField}, {number: 9, name: "upnp_port"},
		{number: 10, name: "socket_addr_v6", kind: bytesField}, {number: 11, name: "switch_code", kind: stringField},
	},
	"PunchHole": {
		{number: 1, name: "socket_addr", kind: bytesField}, {number: 2, name: "relay_server", kind: stringField},
		{number: 3, name: "nat_type"}, {number: 4, name: "udp_port"}, {number: 5, name: "force_relay", kind: boolField},
		{number: 6, name: "upnp_port"}, {number: 7, name: "socket_addr_v6", kind: bytesField},
	},
	"PunchHoleSent": {
		{number: 1, name: "socket_addr", kind: bytesField}, {number: 2, name: "id", kind: stringField},
		{number: 3, name: "relay_server", kind: stringField}, {number: 4, name: "nat_type"},
		{number: 5, name: "version", kind: stringField}, {number: 6, name: "upnp_port"},
		{number: 7, name: "socket_addr_v6", kind: bytesField},
	},
	PunchHoleResponse: {
		{number: 1, name: "socket_addr", kind: bytesField}, {number: 2, name: "pk", kind: bytesField},
		{number: 3, name: "failure"}, {number: 4, name: "relay_server", kind: stringField},
		{number: 5, name: "nat_type", union: true}, {number: 6, name: "is_local", kind: boolField, union: true},
		{number: 7, name: "other_failure", kind: stringField}, {number: 8, name: "feedback"},
		{number: 9, name: "is_udp", kind: boolField}, {number: 10, name: "upnp_port"},
		{number: 11, name: "socket_addr_v6", kind: bytesField},
	},
	"FetchLocalAddr": {
		{number: 1, name: "socket_addr", kind: bytesField}, {number: 2, name: "relay_server", kind: stringField},
		{number: 3, name: "socket_addr_v6", kind: bytesField},
	},
	"LocalAddr": {
		{number: 1, name: "socket_addr", kind: bytesField}, {number: 2, name: "local_addr", kind: bytesField},
		{number: 3, name: "relay_server", kind: stringField}, {number: 4, name: "id", kind: stringField},
		{number: 5, name: "version", kind: stringField}, {number: 6, name: "socket_addr_v6", kind: bytesField},
	},
	"ConfigUpdate": {{number: 1, name: "serial"}, {number: 2, name: "rendezvous_servers", kind: stringsField}},
	"RegisterPk": {
		{number: 1, name: "id", kind: stringField}, {number: 2, name: "uuid", kind: bytesField},
		{number: 3, name: "pk", kind: bytesField}, {number: 4, name: "old_id", kind: stringField},
		{number: 5, name: "no_register_device", kind: boolField},
	},
	"RegisterPkResponse": {{number: 1, name: "result"}, {number: 2, name: "keep_alive"}},
	"SoftwareUpdate":     {{number: 1, name: "url", kind: stringField}},
	RequestRelay: {
		{number: 1, name: "id", kind: stringField}, {number: 2, name: "uuid", kind: stringField},
		{number: 3, name: "socket_addr", kind: bytesField}, {number: 4, name: "relay_server", kind: stringField},
		{number: 5, name: "secure", kind: boolField}, {number: 6, name: "licence_key", kind: stringField},
		{number: 7, name: "conn_type"}, {number: 8, name: "token", kind: stringField},
		{number: 11, name: "switch_code", kind: stringField},
	},
	"RelayResponse": {
		{number: 1, name: "socket_addr", kind: bytesField}, {number: 2, name: "uuid", kind: stringField},
		{number: 3, name: "relay_server", kind: stringField}, {number: 4, name: "id", kind: stringField, union: true},
		{number: 5, name: "pk", kind: bytesField, union: true}, {number: 6, name: "refuse_reason", kind: stringField},
		{number: 7, name: "version", kind: stringField}, {number: 9, name: "feedback"},
		{number: 10, name: "socket_addr_v6", kind: bytesField}, {number: 11, name: "upnp_port"},
	},
	TestNatRequest:  {{number: 1, name: "serial"}},
	TestNatResponse: {{number: 1, name: "port"}, {number: 2, name: "cu", kind: messageField, message: "ConfigUpdate"}},
	"PeerDiscovery": {
		{number: 1, name: "cmd", kind: stringField}, {number: 2, name: "mac", kind: stringField},
		{number: 3, name: "id", kind: stringField}, {number: 4, name: "username", kind: stringField},
		{number: 5, name: "hostname", kind: stringField}, {number: 6, name: "platform", kind: stringField},
		{number: 7, name: "misc", kind: stringField},
	},
	"OnlineRequest":  {{number: 1, name: "id", kind: stringField}, {number: 2, name: "peers", kind: stringsField}},
	"OnlineResponse": {{number: 1, name: "states", kind: bytesField}},
	"KeyExchange":    {{number: 1, name: "keys", kind: byteStringsField}},
}

// numbers are those of RendezvousMessage's union.
var numbers = map[string]int{
	RegisterPeer: 6, RegisterPeerResponse: 7, PunchHoleRequest: 8, "PunchHole": 9, "PunchHoleSent": 10, PunchHoleResponse: 11,
	"FetchLocalAddr": 12, "LocalAddr": 13, "ConfigUpdate": 14, "RegisterPk": 15, "RegisterPkResponse": 16, "SoftwareUpdate": 17,
	RequestRelay: 18, "RelayResponse": 19, TestNatRequest: 20, TestNatResponse: 21, "PeerDiscovery": 22, "OnlineRequest": 23,
	"OnlineResponse": 24, "KeyExchange": 25,
}

var kinds = func() map[int]string {
	out := map[int]string{}
	for kind, number := range numbers {
		out[number] = kind
	}
	return out
}()
