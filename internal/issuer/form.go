package issuer

import (
	"encoding/xml"
	"io"
	"net/url"
)

// form is what a visitor sees of a page of the issuer.
type form struct {
	action       string
	hidden       url.Values
	asksName     bool // has a field "username"
	asksDecision bool // has buttons "decision"
}

// findForm returns the first form that is sent with POST, nil if there is none. Our own markup is plain enough for a
// lenient XML decoder; what it cannot read is as good as a page without a form.
func findForm(page io.Reader) *form {
	d := xml.NewDecoder(page)
	d.Strict = false
	d.AutoClose = xml.HTMLAutoClose
	d.Entity = xml.HTMLEntity
	var f *form
	for {
		token, err := d.Token()
		if err != nil {
			return nil
		}
		switch t := token.(type) {
		case xml.StartElement:
			switch {
			case t.Name.Local == "form" && attribute(t, "method") == "post":
				f = &form{action: attribute(t, "action"), hidden: make(url.Values)}
			case f != nil:
				f.add(t)
			}
		case xml.EndElement:
			if t.Name.Local == "form" && f != nil {
				return f
			}
		}
	}
}

// add takes note of a field or button.
func (f *form) add(e xml.StartElement) {
	name := attribute(e, "name")
	switch {
	case e.Name.Local == "input" && attribute(e, "type") == "hidden":
		f.hidden.Add(name, attribute(e, "value"))
	case e.Name.Local == "input" && name == "username":
		f.asksName = true
	case e.Name.Local == "button" && name == "decision":
		f.asksDecision = true
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
