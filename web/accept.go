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

// acceptable are the ranges that cover a media type of ours, the more specific the higher (RFC 9110 §12.5.1).
var acceptable = map[string]map[string]int{
	mediaJSON:     {mediaJSON: 3, "application/*": 2, "*/*": 1},
	mediaResponse: {mediaResponse: 3, "application/*": 2, "*/*": 1},
}

// negotiate picks the media type of an answer: the one that the client weighs higher, of two equal ones the
// one that it names first, and application/json for clients that do not care. It returns false where the
// client takes neither.
func negotiate(accept []string) (string, bool) {
	if len(accept) == 0 {
		return mediaJSON, true
	}
	type preference struct {
		weight             float64
		specificity, place int
	}
	preferences := map[string]preference{}
	for place, entry := range strings.Split(strings.Join(accept, ","), ",") {
		mediaRange, weight, ok := parseRange(entry)
		if !ok {
			continue
		}
		for mediaType, ranges := range acceptable {
			if specificity := ranges[mediaRange]; specificity > preferences[mediaType].specificity {
				preferences[mediaType] = preference{weight, specificity, place}
			}
		}
	}
	inJSON, inResponse := preferences[mediaJSON], preferences[mediaResponse]
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
