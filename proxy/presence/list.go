package presence

// A list is a slice that is not copied as a whole when it grows: with millions of
// elements that would take so long that everybody notices. It keeps the memory of its
// longest moment.
type list[T any] struct {
	pages [][]T
	n     int // elements; what pages have behind them means nothing
}

// pageLen is how many elements have memory of their own. A shorter list is a slice.
const pageLen = 4096

func (l *list[T]) at(i uint32) *T { return &l.pages[i/pageLen][i%pageLen] }

// push adds v at the end.
func (l *list[T]) push(v T) {
	page := l.n / pageLen
	switch {
	case page < len(l.pages):
	case page == 0:
		l.pages = make([][]T, 1)
	default:
		l.pages = append(l.pages, make([]T, 0, pageLen))
	}
	l.pages[page] = append(l.pages[page][:l.n%pageLen], v)
	l.n++
}

// pop takes the last element off, of which there is one, and returns it.
func (l *list[T]) pop() T {
	l.n--
	return *l.at(uint32(l.n))
}
