package webhook

import "strings"

// Traceparent is where an event is in a trace of the producer's, or of this Waybill's: the W3C's Trace Context, level 1, of version 00,
// "00-<trace id>-<span id>-<flags>" of 55 bytes. "": the event is in no trace. It is an id and says nothing of the event.
type Traceparent string

// traceparentBytes is the length of every Traceparent but "".
const traceparentBytes = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")

// ParseTraceparent reads a header traceparent. What is malformed is "": a trace is never a reason to refuse an event. Of a later version
// it takes what version 00 knows (Trace Context, section 3.2.4), and of the flags those that level 2 has.
func ParseTraceparent(text string) Traceparent {
	text = strings.Trim(text, " \t")
	if len(text) < traceparentBytes || len(text) > traceparentBytes && (text[:2] == "00" || text[traceparentBytes] != '-') {
		return ""
	}
	version, trace, span, flags := text[:2], text[3:35], text[36:52], text[53:55]
	wellFormed := text[2] == '-' && text[35] == '-' && text[52] == '-' && areHex(version) && areHex(trace) && areHex(span) && areHex(flags)
	if !wellFormed || version == "ff" || areZero(trace) || areZero(span) {
		return ""
	}
	return Traceparent("00-" + trace + "-" + span + "-0" + string(rune('0'+flagsOf(flags[1])&3)))
}

// areHex reports whether a text has lower-case hexadecimal digits alone.
func areHex(text string) bool { return strings.Trim(text, "0123456789abcdef") == "" }

func areZero(digits string) bool { return strings.Trim(digits, "0") == "" }

// flagsOf is the value of the lower hexadecimal digit of the flags.
func flagsOf(digit byte) byte {
	if digit >= 'a' {
		return digit - 'a' + 10
	}
	return digit - '0'
}
