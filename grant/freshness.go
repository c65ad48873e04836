package grant

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metadataMaxAge is how long metadata are used at most without asking the issuer,
// whatever it allows, and how long where it says nothing (RFC 9111, section 4.2.2).
const metadataMaxAge = 24 * time.Hour

// freshFor returns how long a response may be used without asking the server: RFC
// 9111, section 4.2. 0: it may not.
func freshFor(header http.Header, received time.Time) time.Duration {
	life := metadataMaxAge
	maxAge, explicit, allowed := cacheControl(header)
	switch expires := header.Values("Expires"); {
	case !allowed:
		return 0
	case explicit:
		life = maxAge
	case len(expires) > 0: // section 5.3; what is no date has expired
		end, err := http.ParseTime(expires[0])
		if err != nil {
			return 0
		}
		date, err := http.ParseTime(header.Get("Date"))
		if err != nil {
			date = received
		}
		life = end.Sub(date)
	}
	return max(0, min(life, metadataMaxAge)-age(header))
}

// cacheControl reads Cache-Control as a private cache (RFC 9111, section 5.2.2).
// allowed is false where the server wants to be asked each time.
func cacheControl(header http.Header) (maxAge time.Duration, explicit, allowed bool) {
	maxAge = metadataMaxAge
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch lowerASCII(name) {
		case "no-store", "no-cache": // sections 5.2.2.5 and 5.2.2.4
			return 0, true, false
		case "max-age": // section 5.2.2.1; of two, the shorter one counts
			explicit = true
			maxAge = min(maxAge, deltaSeconds(strings.Trim(value, `"`)))
		}
	}
	return maxAge, explicit, true
}

// age is how long the response was under way in other caches (RFC 9111, section
// 5.1).
func age(header http.Header) time.Duration {
	if value := header.Get("Age"); value != "" {
		return deltaSeconds(value)
	}
	return 0
}

// deltaSeconds: RFC 9111, section 1.2.2. What is no number is 0, and none is larger
// than what is of use here.
func deltaSeconds(text string) time.Duration {
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, metadataMaxAge)
}
