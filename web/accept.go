package web

import (
	"mime"
	"strconv"
	"strings"
)

// The media types of answers (GraphQL over HTTP, "Media Types").
const (
	mediaJSON     = "application/json"
	mediaResponse = "application/graphql-response+json"
)

// preference is what a client says of a media type.
type preference struct {
	weight             float64
	specificity, place int
}

// consider takes a range into account; of two, the more specific counts (RFC 9110 §12.5.1).
func (p *preference) consider(mediaType, mediaRange string, weight float64, place int) {
	specificity := 0
	switch mediaRange {
	case mediaType:
		specificity = 3
	case "application/*":
		specificity = 2
	case "*/*":
		specificity = 1
	}
	if specificity > p.specificity {
		*p = preference{weight, specificity, place}
	}
}

// negotiate picks the media type of an answer: the one that the client weighs higher, of two equal ones the
// one that it names first, and application/json for clients that do not care. It returns false where the
// client takes neither.
func negotiate(accept []string) (string, bool) {
	if len(accept) == 0 {
		return mediaJSON, true
	}
	var inJSON, inResponse preference
	place := 0
	for entry := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		if mediaRange, weight, ok := parseRange(entry); ok {
			inJSON.consider(mediaJSON, mediaRange, weight, place)
			inResponse.consider(mediaResponse, mediaRange, weight, place)
		}
		place++
	}
	switch {
	case inJSON.weight == 0 && inResponse.weight == 0:
		return "", false
	case inResponse.weight > inJSON.weight,
		inResponse.weight == inJSON.weight && inResponse.specificity == 3 && (inJSON.specificity < 3 || inResponse.place < inJSON.place):
		return mediaResponse, true
	}
	return mediaJSON, true
}

// parseRange reads one entry of an Accept header.
func parseRange(entry string) (mediaRange string, weight float64, ok bool) {
	if !strings.Contains(entry, ";") { // as most are
		return strings.ToLower(strings.TrimSpace(entry)), 1, true
	}
	mediaRange, parameters, err := mime.ParseMediaType(strings.TrimSpace(entry))
	if err != nil {
		return "", 0, false
	}
	if charset, given := parameters["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return "", 0, false
	}
	text, given := parameters["q"]
	if !given {
		return mediaRange, 1, true
	}
	weight, err = strconv.ParseFloat(text, 64)
	return mediaRange, weight, err == nil && weight >= 0 && weight <= 1
}
