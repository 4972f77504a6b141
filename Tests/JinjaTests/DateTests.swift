import Core
import Jinja
import Testing

@Suite struct DateTests {
  @Test func aDateIsReadAndWrittenBack() {
    for text in ["2024-07-26", "2024-02-29", "0001-01-01", "9999-12-31 23:59:59"] {
      #expect(PinnedDate(text)?.description == text)
    }
    #expect(PinnedDate("2024-07-26T14:05:09")?.description == "2024-07-26 14:05:09")
    for text in [
      "", "2023-02-29", "2024-7-26", "2024-13-01", "26 Jul 2024", "2024-07-26 24:00:00", "2024-07-26 1", "+024-01-01",
    ] {
      #expect(PinnedDate(text) == nil, "\(text)")
    }
  }

  @Test func weekdaysAndDaysOfTheYearAreTheCalendars() {
    #expect(PinnedDate("1970-01-01")?.weekday == 3)
    #expect(PinnedDate("2000-02-29")?.weekday == 1)
    #expect(PinnedDate("2024-12-31")?.dayOfYear == 366)
    #expect(PinnedDate("1900-12-31")?.dayOfYear == 365)
  }

  @Test func directivesAreThoseOfTheCLocale() throws {
    let template = try JinjaTemplate(source: "{{ strftime_now('%A %-d %e %B %y|%I:%M %p|%j %U %W %w|%F %T|%Q%%') }}")
    let date = PinnedDate("2024-01-07 00:05:09") ?? .now()
    #expect(
      try template.render([], date: date).text
        == "Sunday 7  7 January 24|12:05 AM|007 01 01 0|2024-01-07 00:05:09|%Q%")
  }
}
